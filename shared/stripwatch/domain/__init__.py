"""The words of stripwatch as frozen dataclasses and pure functions; standard library and NumPy only."""
