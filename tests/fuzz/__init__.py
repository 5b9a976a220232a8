"""Fuzzing of all that comes from outside: `make fuzz`."""
