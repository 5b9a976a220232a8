"""Brings frames from cameras, files, recordings or the simulator onto a line."""
