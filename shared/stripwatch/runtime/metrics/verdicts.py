"""What the aggregator makes of a line's results."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from stripwatch.domain.recipe import Disposition
from stripwatch.domain.verdict import StripVerdict
from stripwatch.ports import Recorded
from stripwatch.runtime.metrics.buckets import WAITED_SECONDS
from stripwatch.runtime.metrics.service import DEAD_LETTERS

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
        self._judged, self._failed = (RESULTS.labels(line, outcome) for outcome in ("judged", "failed"))
        self._others: dict[Recorded, Counter] = {
            recorded: RESULTS.labels(line, "again" if recorded is Recorded.REPEAT else recorded.value)
            for recorded in Recorded
            if recorded is not Recorded.NEW
        }
        self._verdicts = {disposition: VERDICTS.labels(line, disposition.value) for disposition in Disposition}
        self._lost, self._shed, self._unseen = (
            MISSING_FRAMES.labels(line, reason) for reason in ("failed", "shed", "unseen")
        )
        self._seconds = VERDICT_SECONDS.labels(line)
        self._alarms = ALARMS.labels(line)
        self._deadlines = RUN_DEADLINES.labels(line)
        DEAD_LETTERS.labels(line)  # there from the start: what is counted first would not show as a change

    def result(self, recorded: Recorded, *, failed: bool) -> None:
        """A frame's result, `failed` or judged, found its place."""
        if recorded is Recorded.NEW:
            (self._failed if failed else self._judged).inc()
        else:
            self._others[recorded].inc()

    def alarm(self) -> None:
        self._alarms.inc()

    def verdict(self, verdict: StripVerdict, seconds: float, *, complete: bool) -> None:
        """A run was closed, so long after its last event; one that is not `complete` by its deadline."""
        self._verdicts[verdict.disposition].inc()
        for camera in verdict.cameras:
            self._lost.inc(camera.failed)
            self._shed.inc(camera.shed)
            self._unseen.inc(camera.never_seen)
        self._seconds.observe(seconds)
        if not complete:
            self._deadlines.inc()
