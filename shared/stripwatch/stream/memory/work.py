"""Outcomes of frames and pins of runs, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from stripwatch.domain.frame import RunId
from stripwatch.ports import (
    Done,
    Outgoing,
    RunInfo,
)
from stripwatch.stream.memory.state import LineMemory


class MemoryWork:
    """Outcomes of frames, and the pins of their runs."""

    def __init__(self, memory: LineMemory) -> None:
        self._memory = memory

    def finish(self, done: Sequence[Done]) -> list[bool]:
        with self._memory.lock:
            return [self._finish(one) for one in done]

    def _finish(self, one: Done) -> bool:
        if self._memory.frames.ack(one.id) is None:
            return False
        self._append(one)
        return True

    def _append(self, one: Done) -> None:
        result = Outgoing(one.kind, one.run, one.body, trace=one.trace)
        self._memory.stir(one.run, self._memory.results.log.append(result))

    def bury(self, done: Done, reason: str) -> bool:
        with self._memory.lock:
            frame = self._memory.frames.ack(done.id)
            if frame is None:
                return False
            self._memory.dead.append((reason, "frames", frame))
            if done.body:
                self._append(done)
            return True

    def info(self, run: RunId) -> RunInfo:
        with self._memory.lock:
            known = self._memory.runs.get(run)
            return RunInfo(known.start, known.pins, bool(known.closed)) if known else RunInfo()

    def pin(self, run: RunId, pins: bytes) -> bytes:
        with self._memory.lock:
            known = self._memory.runs.get(run)
            if known is None or known.closed:
                return b""
            known.pins = known.pins or pins
            return known.pins
