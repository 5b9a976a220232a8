"""Open runs and how they end, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from stripwatch.domain.frame import RunId
from stripwatch.ports import (
    CameraState,
    Event,
    Record,
    Recorded,
    RunState,
)
from stripwatch.stream.memory.log import now_ms
from stripwatch.stream.memory.state import LineMemory, RunRecord


class MemoryRuns:
    """The state of runs."""

    def __init__(self, memory: LineMemory) -> None:
        self._memory = memory

    def record(self, records: Sequence[Record]) -> list[Recorded]:
        with self._memory.lock:
            return [self._record(one) for one in records]

    def _record(self, one: Record) -> Recorded:
        run = self._memory.runs.get(one.run)
        if run is None:
            return Recorded.UNKNOWN
        if run.closed:
            run.late += self._memory.results.ack(one.id) is not None
            return Recorded.LATE
        camera = run.camera(one.camera)
        fresh = one.index not in camera.judged
        if one.failure:
            fresh = fresh and one.index not in camera.failed
            if fresh:
                camera.failed[one.index] = one.failure
        elif fresh:
            camera.judged.add(one.index)
            camera.failed.pop(one.index, None)
            camera.inspected_mm2 += one.inspected_mm2
            camera.strip_mm2 += one.strip_mm2
            if one.flagged:
                run.flagged[one.camera, one.index] = one.flagged
        if fresh:
            self._memory.touch(one.run)
        self._memory.wake_if_complete(one.run)
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
            record = known.camera(camera)
            fresh = record.frames is None
            if fresh:
                record.end, record.frames, record.shed = body, frames, shed
                self._memory.touch(run)
            self._memory.wake_if_complete(run)
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
                cameras={
                    name: CameraState(camera.end, _bitmap(camera.judged), camera.inspected_mm2, camera.strip_mm2)
                    for name, camera in known.cameras.items()
                },
                flagged=tuple(
                    known.flagged[key] for key in sorted(known.flagged, key=lambda key: (key[0], str(key[1])))
                ),
                failures={
                    (name, index): reason
                    for name, camera in known.cameras.items()
                    for index, reason in camera.failed.items()
                },
            )

    def close(self, run: RunId, revision: int, verdict: Event) -> bool:
        with self._memory.lock:
            known = self._memory.runs.get(run)
            if known is None or known.closed or known.revision != revision:
                return False
            entry = self._memory.verdicts.append(verdict)
            self._memory.verdict_of[run] = entry
            self._memory.open.pop(run, None)
            self._memory.runs[run] = RunRecord(b"", known.live, known.deadline_ms, (), closed=entry)
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


def _bitmap(indices: set[int]) -> bytes:
    bits = bytearray(max(indices) // 8 + 1 if indices else 0)
    for index in indices:
        bits[index // 8] |= 0x80 >> (index % 8)
    return bytes(bits)
