"""When a frame is due: as the strip runs, as it was captured, or at once."""

from __future__ import annotations

import time
from collections.abc import Callable

from stripwatch.domain.frame import FrameHeader, RunId
from stripwatch.errors import BadInput

Schedule = Callable[[FrameHeader], float]
"""A frame's time in seconds on its run's own clock."""

SLIP_S = 1.0


def by_line_speed(metres_per_s: float) -> Schedule:
    """Frames come as a strip of that speed brings them under the camera."""
    if not metres_per_s > 0:
        raise BadInput(f"line speed: expected more than 0 m/s, got {metres_per_s}")
    return lambda header: header.x_mm / 1000 / metres_per_s


def by_capture_time(factor: float = 1.0) -> Schedule:
    """Frames come as they were captured, `factor` times as fast."""
    if not factor > 0:
        raise BadInput(f"pace factor: expected more than 0, got {factor}")
    return lambda header: header.captured_at_ns / 1e9 / factor


class Pace:
    """Frames of a run on a schedule from the run's first frame on; waits never add up to a drift.

    A source that fell behind by more than a second (the line stood, the stream was full) goes on from where it is
    instead of rushing to catch up. No schedule: every frame is due at once.
    """

    def __init__(self, schedule: Schedule | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._schedule = schedule
        self._clock = clock
        self._starts: dict[RunId, float] = {}

    def wait_s(self, header: FrameHeader) -> float:
        """Seconds until the frame is due, never negative."""
        if self._schedule is None:
            return 0.0
        now, at = self._clock(), self._schedule(header)
        start = self._starts.setdefault(header.run, now - at)
        wait = start + at - now
        if wait < -SLIP_S:
            self._starts[header.run] = now - at
        return max(0.0, wait)

    def forget(self, run: RunId) -> None:
        """The run is over."""
        self._starts.pop(run, None)
