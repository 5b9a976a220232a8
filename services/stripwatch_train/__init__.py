"""The trainer: the only package that imports torch. Start it with `python -m stripwatch_train`."""
