"""The server's clock, which deadlines go by, may be put forward: what looks like idle time then is none."""

from __future__ import annotations

import time
from collections.abc import Callable

STEP_MS = 2_000
"""More than the clocks of two machines drift apart between two looks, and less than a deadline that matters."""


class ServerClock:
    """Compares the server's clock with our own, which nobody sets."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._ahead_ms: float | None = None
        self._stepped_at: float | None = None

    def saw(self, server_ms: int) -> None:
        """Takes note of the server's time. A step back needs nothing: deadlines only come later."""
        now = self._monotonic()
        ahead = server_ms - now * 1000
        if self._ahead_ms is not None and ahead - self._ahead_ms > STEP_MS:
            self._stepped_at = now
        self._ahead_ms = ahead

    def idle_ms(self, by_server: int) -> int:
        """How long nothing has happened for sure: no longer than since the last step."""
        if self._stepped_at is None:
            return by_server
        return min(by_server, round((self._monotonic() - self._stepped_at) * 1000))
