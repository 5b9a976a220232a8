"""Whether frames may go out now: the operator's word on the line, and the room in the stream."""

from __future__ import annotations

import time
from collections.abc import Callable

from stripwatch.errors import Unavailable
from stripwatch.feed.rules import FeedRules
from stripwatch.ports import LineState, Source

PAUSED = "paused"
FULL = "stream full"
SLOW = "frames wait too long"
AWAY = "stream away"
STOPPED = "source stopped"
TORN = "too many gaps"

_ASK_EVERY_S = 0.05


class Gate:
    """Asks the stream at most every 50 ms; in between, and while the stream is away, the last answer stands."""

    def __init__(self, source: Source, rules: FeedRules, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._rules = rules
        self._clock = clock
        self._asked_at = -1e9
        self._state = LineState.RUNNING
        self._used = 0
        self._ceiling = 0
        self._waited_s = 0.0

    def reason(self) -> str | None:
        """Why frames are held back now; None where they may go."""
        self._ask()
        if self._state is LineState.PAUSED:
            return PAUSED
        if self._ceiling and self._used >= self._ceiling:
            return FULL
        return SLOW if self._rules.live and 0 < self._rules.budget_s < self._waited_s else None

    def took(self, size: int) -> None:
        """So many bytes go out: they count before the stream is asked again."""
        self._used += size

    def draining(self) -> bool:
        """Whether no new run may start now."""
        self._ask()
        return self._state is LineState.DRAINING

    def __str__(self) -> str:
        used = f"{self._used} of {self._ceiling or 'unbounded'} bytes used"
        return f"line {self._state}, {used}, frames wait for {self._waited_s:.1f} s"

    def _ask(self) -> None:
        now = self._clock()
        if now - self._asked_at < _ASK_EVERY_S:
            return
        try:
            self._state = self._source.state()
            memory = self._source.memory()
            self._used, self._ceiling = memory.used, self._rules.ceiling(memory.limit)
            if self._rules.live and self._rules.budget_s:
                self._waited_s = self._source.waited_ms() / 1000
        except Unavailable:
            pass  # publishing will meet it too, and knows what to do
        self._asked_at = self._clock()
