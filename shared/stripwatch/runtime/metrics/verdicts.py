"""What the aggregator makes of a line's results."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Histogram

from stripwatch.domain.recipe import Disposition
from stripwatch.domain.verdict import LossReason
from stripwatch.runtime.metrics.buckets import WAITED_SECONDS
from stripwatch.runtime.metrics.service import DEAD_LETTERS

OUTCOMES = ("judged", "failed", "late", "stray", "unknown", "again")
_REASONS = {LossReason.FAILED: "failed", LossReason.SHED: "shed", LossReason.NEVER_SEEN: "unseen"}

RESULTS = Counter("stripwatch_results", "Frame results by what became of them", ["line", "outcome"])
VERDICTS = Counter("stripwatch_verdicts", "Verdicts", ["line", "disposition"])
VERDICT_SECONDS = Histogram(
    "stripwatch_verdict_seconds", "Time from a run's last event to its verdict", ["line"], buckets=WAITED_SECONDS
)
MISSING_FRAMES = Counter(
    "stripwatch_missing_frames", "Frames without scores of runs that have their verdict", ["line", "reason"]
)
ALARMS = Counter("stripwatch_alarms", "Alarms", ["line"])
RUN_DEADLINES = Counter("stripwatch_run_deadlines", "Runs that were closed by their deadline", ["line"])


class VerdictMeter:
    """What becomes of one line's results and runs."""

    def __init__(self, line: str) -> None:
        self._results = {outcome: RESULTS.labels(line, outcome) for outcome in OUTCOMES}
        self._verdicts = {disposition: VERDICTS.labels(line, disposition.value) for disposition in Disposition}
        self._missing = {reason: MISSING_FRAMES.labels(line, word) for reason, word in _REASONS.items()}
        self._seconds = VERDICT_SECONDS.labels(line)
        self._alarms = ALARMS.labels(line)
        self._deadlines = RUN_DEADLINES.labels(line)
        DEAD_LETTERS.labels(line)  # there from the start: what is counted first would not show as a change

    def result(self, outcome: str) -> None:
        """One of OUTCOMES."""
        self._results[outcome].inc()

    def alarm(self) -> None:
        self._alarms.inc()

    def verdict(
        self, disposition: Disposition, missing: Mapping[LossReason, int], seconds: float, *, complete: bool
    ) -> None:
        """A run was closed, so long after its last event; one that is not `complete` by its deadline."""
        self._verdicts[disposition].inc()
        for reason, frames in missing.items():
            self._missing[reason].inc(frames)
        self._seconds.observe(seconds)
        if not complete:
            self._deadlines.inc()
