"""When a frame was where, from its capture on."""

from __future__ import annotations

import time

from stripwatch.runtime.metrics.frames import Course
from stripwatch_preprocess.batch import Job
from stripwatch_preprocess.clock import StreamClock

LONGEST_MS = 3_600_000
"""A live frame that was captured longer before it came into the stream is of a camera without a clock."""


def course(job: Job, clock: StreamClock) -> Course:
    """The course of a frame whose scores are there now."""
    frame, came_ms = job.frame, job.ticket.entry.came_ms
    captured_ms = frame.header.captured_at_ns / 1e6
    # A replayed frame was captured whenever it was recorded.
    is_clocked = frame.plan.live and 0 <= came_ms - captured_ms < LONGEST_MS
    return Course(
        captured_at=clock.at(captured_ms if is_clocked else came_ms),
        came_at=clock.at(came_ms),
        begun_at=job.begun_at,
        cut_at=job.cut_at,
        scored_at=time.monotonic(),
        tiles=len(frame.tiles),
    )
