"""The side of a line where frames come in, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from stripwatch.domain.frame import RunId
from stripwatch.errors import Conflict
from stripwatch.ports import (
    Kind,
    LineState,
    MemoryUse,
    Outgoing,
)
from stripwatch.runtime.tracing import traceparent
from stripwatch.stream.held import held_message
from stripwatch.stream.memory.log import now_ms
from stripwatch.stream.memory.state import LineMemory, RunRecord


class MemorySource:
    """The side where frames come in. `limit` bytes of frames stand for the server's memory limit (0: none)."""

    def __init__(self, line: str, memory: LineMemory, limit: int) -> None:
        self._line = line
        self._memory = memory
        self._limit = limit

    def start_run(
        self, run: RunId, body: bytes, *, cameras: Sequence[str], live: bool, deadline_ms: int, trace: str = ""
    ) -> bool:
        with self._memory.lock:
            known = self._memory.runs.get(run)
            if known:
                if known.closed:
                    raise Conflict("the run has its verdict")
                return False
            self._memory.runs[run] = RunRecord(body, live, deadline_ms, tuple(cameras), trace=traceparent(trace))
            self._memory.open[run] = float("inf")
            self._memory.touch(run, self._memory.append_frame(Outgoing(Kind.START, run, body, trace=trace)))
            return True

    def publish(self, entries: Sequence[Outgoing]) -> None:
        with self._memory.lock:
            for entry in entries:
                known = self._memory.runs.get(entry.run)
                if known is None:
                    raise Conflict("the run was never started")
                entry_id = self._memory.append_frame(entry)
                if not known.closed:
                    self._memory.touch(entry.run, entry_id)

    def memory(self) -> MemoryUse:
        with self._memory.lock:
            used = sum(len(one.pixels) + len(one.body) for one in self._memory.frames.log.entries.values())
            return MemoryUse(used, self._limit)

    def waited_ms(self) -> int:
        with self._memory.lock:
            oldest = self._memory.frames.next_ms()
            return now_ms() - oldest if oldest else 0

    def hold(self, owner: str, *, live: bool, ttl_ms: int) -> None:
        mode = "live" if live else "replay"
        with self._memory.lock:
            sources = {who: until for who, until in self._memory.sources.items() if until > now_ms()}
            self._memory.sources = sources
            for other in sources:
                held, _, who = other.partition(":")
                if other != f"{mode}:{owner}" and "replay" in (mode, held):
                    raise Conflict(held_message(self._line, held, who))
            sources[f"{mode}:{owner}"] = now_ms() + ttl_ms

    def release(self, owner: str) -> None:
        with self._memory.lock:
            for mode in ("live", "replay"):
                self._memory.sources.pop(f"{mode}:{owner}", None)

    def state(self) -> LineState:
        return self._memory.state

    def set_state(self, state: LineState) -> None:
        self._memory.state = state
