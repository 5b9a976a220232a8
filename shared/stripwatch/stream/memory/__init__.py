"""The stream ports in memory: for tests and single-process use; passes the same contract tests as Redis."""

from stripwatch.stream.memory.line import MemoryStream

__all__ = ["MemoryStream"]
