"""The clock of a line's stream, by which its entries are dated, as our own clock has it."""

from __future__ import annotations

import time
from collections.abc import Callable


class StreamClock:
    """Asked now and then what time it is there; in between, told from a clock of ours that nobody sets."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._monotonic = monotonic
        self._ahead_s = wall() - monotonic()

    def saw(self, server_ms: int) -> None:
        """Takes note of the server's time."""
        self._ahead_s = server_ms / 1000 - self._monotonic()

    def at(self, server_ms: float) -> float:
        """When that was, in monotonic seconds."""
        return server_ms / 1000 - self._ahead_s
