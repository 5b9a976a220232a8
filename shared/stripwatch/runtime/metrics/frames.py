"""What preprocess does with the frames of a line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from prometheus_client import Counter, Histogram

from stripwatch.runtime.metrics.buckets import SECONDS, WAITED_SECONDS
from stripwatch.runtime.metrics.service import DEAD_LETTERS

JUDGED, FAILED, LATE = "judged", "failed", "late"

FRAMES = Counter("stripwatch_frames", "Frames that were given an outcome", ["line", "outcome"])
TILES = Counter("stripwatch_tiles", "Tiles of judged frames", ["line"])
FRAME_SECONDS = Histogram(
    "stripwatch_frame_seconds",
    "Time of a judged frame in each stage: waiting in the queue, cut, at the models, until its result was published",
    ["line", "stage"],
    buckets=WAITED_SECONDS,
)
RESULT_AGE_SECONDS = Histogram(
    "stripwatch_result_age_seconds",
    "Time from a frame's capture (in a replay: its coming into the stream) until its result was published",
    ["line"],
    buckets=WAITED_SECONDS,
)
REDELIVERIES = Counter("stripwatch_redeliveries", "Frames that were taken over from another worker", ["line"])
BATCH_WAIT_SECONDS = Histogram(
    "stripwatch_batch_wait_seconds",
    "Time from the cutting of a batch's first frame to its first sending",
    buckets=SECONDS,
)


@dataclass(frozen=True, slots=True)
class Course:
    """When a judged frame was where, in monotonic seconds of this process; before it began, by the stream's clock."""

    captured_at: float
    came_at: float
    begun_at: float
    cut_at: float
    scored_at: float
    tiles: int


class FrameMeter:
    """What becomes of one line's frames."""

    def __init__(self, line: str) -> None:
        self._queue, self._cut, self._models, self._publish = (
            FRAME_SECONDS.labels(line, stage) for stage in ("queue", "cut", "models", "publish")
        )
        self._age = RESULT_AGE_SECONDS.labels(line)
        self._outcomes = {outcome: FRAMES.labels(line, outcome) for outcome in (JUDGED, FAILED, LATE)}
        self._tiles = TILES.labels(line)
        self._redeliveries = REDELIVERIES.labels(line)
        DEAD_LETTERS.labels(line)  # there from the start: what is counted first would not show as a change

    def judged(self, course: Course, now: float) -> None:
        """Its result was published `now`. All stages at once: each was observed as often as there are judged frames."""
        self._outcomes[JUDGED].inc()
        self._tiles.inc(course.tiles)
        self._queue.observe(max(0.0, course.begun_at - course.came_at))
        self._cut.observe(course.cut_at - course.begun_at)
        self._models.observe(course.scored_at - course.cut_at)
        self._publish.observe(now - course.scored_at)
        self._age.observe(max(0.0, now - course.captured_at))

    def failed(self) -> None:
        self._outcomes[FAILED].inc()

    def late(self) -> None:
        """Its run had its verdict already."""
        self._outcomes[LATE].inc()

    def taken_over(self, frames: int) -> None:
        self._redeliveries.inc(frames)


@cache
def meter_of(line: str) -> FrameMeter:
    """The line's meter, made once: its series are there from then on."""
    return FrameMeter(line)
