"""What a source brings onto its line."""

from __future__ import annotations

from prometheus_client import Counter

from stripwatch.runtime.metrics.service import REDIS_RETRIES

INGEST_FRAMES = Counter("stripwatch_ingest_frames", "Frames that the stream took", ["line"])
INGEST_BYTES = Counter("stripwatch_ingest_bytes", "Bytes of those frames as sent", ["line"])
SHED_FRAMES = Counter("stripwatch_shed_frames", "Frames that were not sent, and declared as shed", ["line"])
BLOCKED_SECONDS = Counter(
    "stripwatch_ingest_blocked_seconds", "Time that a replay was held up because the stream was full", ["line"]
)


class FeedMeter:
    """What one source brings onto its line; whatever feeds a line counts as the service ingest."""

    def __init__(self, line: str) -> None:
        self._frames, self._bytes, self._shed, self._blocked_s = (
            one.labels(line) for one in (INGEST_FRAMES, INGEST_BYTES, SHED_FRAMES, BLOCKED_SECONDS)
        )
        self._retries = REDIS_RETRIES.labels("ingest")

    def took(self, frames: int, size: int) -> None:
        """The stream took frames of so many bytes together."""
        self._frames.inc(frames)
        self._bytes.inc(size)

    def shed(self) -> None:
        self._shed.inc()

    def blocked(self, seconds: float) -> None:
        self._blocked_s.inc(seconds)

    def tries_again(self) -> None:
        self._retries.inc()
