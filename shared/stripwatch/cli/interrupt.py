"""SIGTERM as Ctrl-C: what a command started is stopped in order either way."""

from __future__ import annotations

from types import FrameType


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """A signal handler; the `finally` blocks do the rest."""
    raise KeyboardInterrupt
