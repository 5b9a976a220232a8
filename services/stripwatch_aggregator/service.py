"""The aggregator of one line: results in, alarms and verdicts out."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace

from stripwatch.domain.frame import RunId
from stripwatch.domain.result import FrameResult, Outcome
from stripwatch.errors import BadInput, Overloaded, StripwatchError, Unavailable
from stripwatch.ports import Entry, Kind, LineStream, Record, Recorded, RunState, Stream
from stripwatch.rpc.codec.frames import decode_end
from stripwatch.runtime import tracing
from stripwatch.runtime.deadline import backoff
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.runtime.logging import of_frame, of_run
from stripwatch.runtime.metrics.service import REDIS_RETRIES
from stripwatch.runtime.metrics.verdicts import VerdictMeter
from stripwatch.runtime.tracing import NOTHING
from stripwatch.stream.keys import RESULTS_GROUP
from stripwatch_aggregator.account import account, shed_frames
from stripwatch_aggregator.alarms import alarms_of
from stripwatch_aggregator.clock import ServerClock
from stripwatch_aggregator.decide import decide
from stripwatch_aggregator.event import alarm_event, alarm_key, verdict_event
from stripwatch_aggregator.memo import Memo
from stripwatch_aggregator.outcome import record_of, result_of
from stripwatch_aggregator.over import is_over, without_defects
from stripwatch_aggregator.settings import AggregatorSettings
from stripwatch_aggregator.summary import summary

log = logging.getLogger(__name__)

_REMARKABLE = {
    Recorded.UNKNOWN: "a result of a run that nobody started is in the dead stream",
    Recorded.STRAY: "something of a camera that the run did not declare",
    Recorded.LATE: "a result came after the verdict",
}

STAGE = "aggregate"
BLOCK_MS = 100
BEAT_EVERY_S = 2.0
BEAT_TTL_MS = 10_000
RUNS_AT_ONCE = 16
LOOK_AGAIN_MS = 1_000
MOST_ATTEMPTS = 5
"""A run that was tried more often, as it stands, without a verdict is decided by its frames' account alone."""
MOST_DELIVERIES = 5
"""A result that was handed out more often without being recorded ended those who had it."""


class Aggregate:
    """Records every frame's outcome, raises alarms, and closes each run with one verdict.

    Any number of these may work on a line: every effect is idempotent, entries are acked with or after their effect,
    and a run is closed in one step that refuses if it changed meanwhile. What one leaves undone another picks up.
    """

    def __init__(self, stream: Stream, line: str, settings: AggregatorSettings, lifecycle: Lifecycle, who: str) -> None:
        self._stream = stream
        self.line = line
        self._settings = settings
        self._lifecycle = lifecycle
        self._who = who
        self._clock = ServerClock()
        self._meter, self._retries = VerdictMeter(line), REDIS_RETRIES.labels("aggregator")
        self._claim_at = 0.0
        self._beat_at = 0.0

    def run(self) -> None:
        """Works until told to stop; waits out a stream that does not answer, whatever was in hand comes again."""
        waits = backoff()
        while self._lifecycle.running:
            try:
                line = self._stream.line(self.line)
                memo = Memo(line.work)
                while self._lifecycle.running:
                    self.step(line, memo)
                    waits = backoff()
                line.results.leave(self._who)
            except (Unavailable, Overloaded) as error:
                log.warning("the stream is away, trying again", extra={"line": self.line, "reason": str(error)})
                self._retries.inc()
                self._beat_at = 0.0  # the next Redis may be another, which never heard of us
                self._lifecycle.sleep(next(waits))

    def step(self, line: LineStream, memo: Memo) -> None:
        """One round: beat, take, record, conclude."""
        self.beat(line)
        self.record(line, memo, line.results.read(self._who, self._settings.batch, BLOCK_MS))
        self.take_over(line, memo)
        self.conclude(line, memo)

    def beat(self, line: LineStream) -> None:
        if time.monotonic() >= self._beat_at:
            self._beat_at = time.monotonic() + BEAT_EVERY_S
            line.beats.beat(STAGE, self._who, BEAT_TTL_MS)
            self._clock.saw(line.runs.now_ms())

    def take_over(self, line: LineStream, memo: Memo) -> None:
        """Now and then, what another aggregator left behind: one by one, as one of them may be why it did."""
        if time.monotonic() < self._claim_at:
            return
        idle = self._settings.claim_idle_seconds
        for _ in range(self._settings.batch):
            claimed = line.results.claim(self._who, round(idle * 1000), 1)
            if not claimed:
                self._claim_at = time.monotonic() + idle / 4
                return
            if claimed[0].deliveries > MOST_DELIVERIES:
                line.runs.discard(claimed[0].id, f"delivered {claimed[0].deliveries} times without being recorded")
            else:
                self.record(line, memo, claimed)

    def record(self, line: LineStream, memo: Memo, entries: list[Entry]) -> None:
        """Every entry finds its place: in its run's state, or in `dead` with the reason."""
        spans = {one.id: tracing.taken("record", "results", one, RESULTS_GROUP, self._who) for one in entries}
        records: list[Record] = []
        ends: list[Entry] = []
        for entry in entries:
            if entry.kind is Kind.RESULT:
                with spans.get(entry.id, NOTHING).here():
                    records += self._read(line, memo, entry)
            elif entry.kind is Kind.END:
                ends.append(entry)
            elif entry.kind is not Kind.START:
                line.runs.discard(entry.id, f"expected a result or a marker, got a {entry.kind}")
        if records:
            for one, recorded in zip(records, line.runs.record(records, self._settings.keeping), strict=True):
                self._meter.result(recorded, failed=bool(one.failure))
                with spans.get(one.id, NOTHING).here():
                    self._tell(line, one.id, one.run, recorded, {"camera": one.camera, "frame": one.index})
        for entry in ends:
            with spans.get(entry.id, NOTHING).here():
                self.record_end(line, entry)
        starts = [entry.id for entry in entries if entry.kind is Kind.START]
        if starts:
            line.runs.acknowledge(starts)
        for span in spans.values():
            span.end()

    def _read(self, line: LineStream, memo: Memo, entry: Entry) -> list[Record]:
        """What a result has to record: nothing if it is none."""
        try:
            result = result_of(entry)
        except BadInput as error:
            line.runs.discard(entry.id, str(error))
            return []
        # Before the result is acked: an alarm raised twice is one alarm, one never raised would be lost.
        self.alarm(line, memo, result)
        return [record_of(entry, result, memo.of(entry.run).rules)]

    def alarm(self, line: LineStream, memo: Memo, result: FrameResult) -> None:
        known = memo.of(result.header.run)
        if result.outcome is not Outcome.JUDGED or known.rules is None:
            return
        for alarm in alarms_of(result, known.rules, time.time_ns()):
            key = alarm_key(alarm)
            if key not in known.raised:
                if line.runs.alarm(key, alarm_event(alarm)):
                    self._meter.alarm()
                    told = {"label": alarm.label, "side": str(alarm.side), "x_mm": round(alarm.box.x_mm)}
                    log.info("alarm", extra={**of_frame(result.header), **told})
                known.raised.add(key)

    def record_end(self, line: LineStream, entry: Entry) -> None:
        try:
            end = decode_end(entry.body)
        except BadInput as error:
            line.runs.discard(entry.id, str(error))
            return
        recorded = line.runs.record_end(entry.id, entry.run, end.camera, entry.body, end.frames, shed_frames(end))
        self._tell(line, entry.id, entry.run, recorded, {"camera": end.camera})

    def _tell(
        self, line: LineStream, entry_id: str, run: RunId, recorded: Recorded, place: Mapping[str, str | int]
    ) -> None:
        tracing.current().note({"stripwatch.recorded": recorded.value})
        if recorded is Recorded.UNKNOWN:
            line.runs.discard(entry_id, f"run {run} is neither open nor remembered")
        if recorded in _REMARKABLE:
            log.warning(_REMARKABLE[recorded], extra={**of_run(run), **place, "entry": entry_id})

    def conclude(self, line: LineStream, memo: Memo) -> None:
        """Closes the runs that are over: complete, or idle for their deadline."""
        for run in line.runs.due(RUNS_AT_ONCE):
            try:
                if self._close_if_over(line, run):
                    memo.forget(run)
            except (Unavailable, Overloaded):
                raise
            except (StripwatchError, ValueError, ArithmeticError, LookupError):
                log.exception("cannot be decided, looking again later", extra=of_run(run))
                state = line.runs.state(run)
                if state is not None:
                    line.runs.postpone(run, state.revision, 10 * LOOK_AGAIN_MS)

    def _close_if_over(self, line: LineStream, run: RunId) -> bool:
        state = line.runs.state(run)
        if state is None:
            return True
        last_event_at = time.monotonic() - state.idle_ms / 1000
        ledger = account(state)
        if not ledger.complete:
            self._clock.saw(line.runs.now_ms())
            state = replace(state, idle_ms=self._clock.idle_ms(state.idle_ms))
        if not is_over(state, ledger):
            line.runs.postpone(run, state.revision, _look_again_ms(state))
            return False
        if line.runs.attempt(run, state.revision) > MOST_ATTEMPTS:
            log.error(
                "its defects are left out: it could not be decided", extra={**of_run(run), "tries": MOST_ATTEMPTS}
            )
            state = without_defects(state)
        span = tracing.follow(state.trace, "conclude", links=state.traced)
        verdict = decide(state, ledger, time.time_ns())
        if not line.runs.close(run, state.revision, verdict_event(verdict), self._settings.keeping):
            return False  # closed by another, or changed: it is due again
        self._meter.verdict(verdict, time.monotonic() - last_event_at, complete=ledger.complete)
        with span:
            said = summary(verdict)
            log.info("verdict", extra=said)
            span.note({f"stripwatch.{name}": value for name, value in said.items()})
        return True


def _look_again_ms(state: RunState) -> int:
    """When a run that is not over may be: its deadline, or soon if something of it is under way."""
    if state.idle_ms >= state.deadline_ms:
        return LOOK_AGAIN_MS
    return max(1, state.deadline_ms - state.idle_ms)
