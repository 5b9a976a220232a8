"""Open runs and how they end, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from stripwatch.domain.frame import RunId
from stripwatch.ports import (
    KEEPING,
    MOST_TRACED,
    CameraState,
    Event,
    Keeping,
    Record,
    Recorded,
    RunState,
)
from stripwatch.runtime.tracing import traceparent
from stripwatch.stream.memory.log import now_ms
from stripwatch.stream.memory.state import CameraRecord, LineMemory, RunRecord


class MemoryRuns:
    """The state of runs."""

    def __init__(self, memory: LineMemory) -> None:
        self._memory = memory

    def record(self, records: Sequence[Record], keeping: Keeping = KEEPING) -> list[Recorded]:
        with self._memory.lock:
            return [self._record(one, keeping) for one in records]

    def _record(self, one: Record, keeping: Keeping) -> Recorded:
        run = self._memory.runs.get(one.run)
        if run is None:
            return Recorded.UNKNOWN
        if run.closed:
            run.late += self._memory.results.ack(one.id) is not None
            return Recorded.LATE
        if self._memory.is_stray(one.run, one.camera):
            self._memory.results.ack(one.id)
            return Recorded.STRAY
        camera = run.camera(one.camera)
        fresh = one.index not in camera.judged
        if one.failure:
            fresh = fresh and one.index not in camera.failed
            if fresh:
                camera.failed.add(one.index)
                run.reasons.add(one.index, one.camera, one.failure.encode(), keeping.reason_bytes)
        elif fresh:
            camera.judged.add(one.index)
            camera.failed.discard(one.index)
            run.reasons.drop(one.index, one.camera)
            camera.inspected_mm2 += one.inspected_mm2
            camera.strip_mm2 += one.strip_mm2
            if one.flagged:
                run.flagged.add(one.index, one.camera, one.flagged, keeping.flagged_bytes)
        if fresh:
            self._memory.touch(one.run)
            if one.trace and len(run.traced) < MOST_TRACED:
                run.traced.append(one.trace)
        self._memory.wake(one.run, CameraRecord.looks_complete)
        self._memory.results.ack(one.id)
        return Recorded.NEW if fresh else Recorded.REPEAT

    def record_end(self, entry_id: str, run: RunId, camera: str, body: bytes, frames: int, shed: int) -> Recorded:
        with self._memory.lock:
            known = self._memory.runs.get(run)
            if known is None:
                return Recorded.UNKNOWN
            if known.closed:
                self._memory.results.ack(entry_id)
                return Recorded.LATE
            if self._memory.is_stray(run, camera):
                self._memory.results.ack(entry_id)
                return Recorded.STRAY
            record = known.camera(camera)
            fresh = record.frames is None
            if fresh:
                record.end, record.frames, record.shed = body, frames, shed
                self._memory.touch(run)
            self._memory.wake(run, lambda one: one.frames is not None)
            self._memory.results.ack(entry_id)
            return Recorded.NEW if fresh else Recorded.REPEAT

    def acknowledge(self, entry_ids: Sequence[str]) -> None:
        with self._memory.lock:
            for identity in entry_ids:
                self._memory.results.ack(identity)

    def discard(self, entry_id: str, reason: str) -> None:
        with self._memory.lock:
            entry = self._memory.results.ack(entry_id)
            if entry is not None:
                self._memory.dead.append((reason, "results", entry))

    def due(self, limit: int) -> list[RunId]:
        with self._memory.lock:
            due = sorted((when, str(run), run) for run, when in self._memory.open.items() if when <= now_ms())
            return [run for _, _, run in due[:limit]]

    def now_ms(self) -> int:
        return now_ms()

    def postpone(self, run: RunId, revision: int, delay_ms: int) -> None:
        with self._memory.lock:
            if run in self._memory.open and self._memory.runs[run].revision == revision:
                self._memory.open[run] = now_ms() + delay_ms

    def state(self, run: RunId) -> RunState | None:
        with self._memory.lock:
            known = self._memory.runs.get(run)
            if known is None or known.closed:
                return None
            oldest = (self._memory.frames.log.oldest_ms(), self._memory.results.log.oldest_ms())
            return RunState(
                run=run,
                revision=known.revision,
                start=known.start,
                pins=known.pins,
                live=known.live,
                idle_ms=max(0, now_ms() - known.last_ms),
                deadline_ms=known.deadline_ms,
                busy=any(one is not None and one <= known.last_ms for one in oldest),
                cameras={name: _state_of(known.camera(name)) for name in known.declared},
                flagged=tuple(value for _, value in sorted(known.flagged.values.items(), key=_field)),
                beyond=known.flagged.beyond,
                failures={
                    (field.rpartition(":")[0], index): why.decode()
                    for (index, field), why in known.reasons.values.items()
                },
                strays=tuple(sorted(known.strays)),
                trace=known.trace,
                traced=tuple(filter(None, map(traceparent, known.traced))),
            )

    def attempt(self, run: RunId, revision: int) -> int:
        with self._memory.lock:
            known = self._memory.runs.get(run)
            if known is None or known.closed:
                return 0
            before, count = known.tries
            known.tries = (revision, count + 1 if before == revision else 1)
            return known.tries[1]

    def close(self, run: RunId, revision: int, verdict: Event, keeping: Keeping = KEEPING) -> bool:
        with self._memory.lock:
            known = self._memory.runs.get(run)
            if known is None or known.closed or known.revision != revision:
                return False
            entry = self._memory.verdicts.append(verdict)
            self._memory.verdict_of[run] = entry
            self._memory.open.pop(run, None)
            self._memory.runs[run] = RunRecord(b"", known.live, known.deadline_ms, (), closed=entry)
            self._memory.trim_verdicts(keeping)
            return True

    def alarm(self, key: str, alarm: Event) -> bool:
        with self._memory.lock:
            known = self._memory.runs.get(alarm.run)
            if known is None or known.closed or key in known.alarms:
                return False
            known.alarms.add(key)
            self._memory.alarms.append(alarm)
            return True

    def open_runs(self) -> list[RunId]:
        with self._memory.lock:
            return sorted(self._memory.open, key=lambda run: (self._memory.open[run], str(run)))

    def late(self, run: RunId) -> int:
        with self._memory.lock:
            known = self._memory.runs.get(run)
            return known.late if known else 0


def _field(item: tuple[tuple[int, str], bytes]) -> str:
    return item[0][1]


def _state_of(camera: CameraRecord) -> CameraState:
    return CameraState(
        camera.end, _bitmap(camera.judged), _bitmap(camera.failed), camera.inspected_mm2, camera.strip_mm2
    )


def _bitmap(indices: set[int]) -> bytes:
    bits = bytearray(max(indices) // 8 + 1 if indices else 0)
    for index in indices:
        bits[index // 8] |= 0x80 >> (index % 8)
    return bytes(bits)
