"""The side of a line where frames come in, on Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from stripwatch.domain.frame import RunId
from stripwatch.errors import Conflict
from stripwatch.ports import LineState, MemoryUse, Outgoing
from stripwatch.stream.held import held_message
from stripwatch.stream.keys import FRAMES_GROUP, Keys, member
from stripwatch.stream.redis.client import Call, Client, Part

TAP_ENTRIES = 4096
"""Most entries kept for a recorder that falls behind, within the bytes of a side stream; beyond it recordings fail."""


class RedisSource:
    """Starts runs and publishes their frames."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def _run_keys(self, run: RunId) -> list[str]:
        keys = self._keys
        return [keys.run(run), keys.open, keys.frames, keys.tap, keys.tap_lease]

    def start_run(
        self, run: RunId, body: bytes, *, cameras: Sequence[str], live: bool, deadline_ms: int, trace: str = ""
    ) -> bool:
        args: list[Part] = [member(run), body, int(live), deadline_ms, ",".join(cameras), TAP_ENTRIES, trace]
        return bool(self._client.call("start_run", self._run_keys(run), args))

    def publish(self, entries: Sequence[Outgoing]) -> None:
        copied = self._admit(Counter(entry.run for entry in entries if entry.pixels))
        self._append([entry for entry in entries if entry.pixels and not copied[entry.run]])
        self._client.call_all([self._call(entry) for entry in entries if not entry.pixels or copied[entry.run]])

    def _admit(self, frames: Mapping[RunId, int]) -> dict[RunId, bool]:
        """Whether a recorder wants copies of so many frames, which come next; Conflict where a run was not started."""
        keys = self._keys
        calls: list[Call] = [
            ("admit", [keys.run(run), keys.open, keys.tap, keys.tap_lease], [member(run), count])
            for run, count in frames.items()
        ]
        return {run: bool(answer) for run, answer in zip(frames, self._client.call_all(calls), strict=True)}

    def _append(self, entries: Sequence[Outgoing]) -> None:
        """Adds admitted frames. NOMKSTREAM: a Redis that lost everything meanwhile does not know their runs either."""
        commands: list[list[Part]] = [
            [
                *("XADD", self._keys.frames, "NOMKSTREAM", "*", "k", entry.kind.value),
                *("r", member(entry.run), "b", entry.body, "p", entry.pixels),
                *(("traceparent", entry.trace) if entry.trace else ()),
            ]
            for entry in entries
        ]
        if None in self._client.do_all(self._keys.frames, commands):
            raise Conflict(f"line {self._keys.line}: the stream of its frames is gone, and what was started with it")

    def _call(self, entry: Outgoing) -> Call:
        most = self._tap_entries(len(entry.pixels))
        args = [member(entry.run), entry.kind.value, entry.body, entry.pixels, most, entry.trace]
        return "publish", self._run_keys(entry.run), args

    def _tap_entries(self, size: int) -> int:
        return max(1, min(TAP_ENTRIES, self._client.share_of_memory(self._keys.tap) // (size + 512)))

    def memory(self) -> MemoryUse:
        info = self._client.server_info("memory", self._keys.frames)
        return MemoryUse(int(info["used_memory"]), int(info["maxmemory"]))

    def waited_ms(self) -> int:
        return int(self._client.call("waited", [self._keys.frames], [FRAMES_GROUP]))

    def hold(self, owner: str, *, live: bool, ttl_ms: int) -> None:
        mode = "live" if live else "replay"
        other = self._client.call("hold", [self._keys.sources], [mode, owner, ttl_ms]).decode()
        if other:
            held, _, who = other.partition(":")
            raise Conflict(held_message(self._keys.line, held, who))

    def release(self, owner: str) -> None:
        self._client.do("ZREM", self._keys.sources, f"live:{owner}", f"replay:{owner}")

    def state(self) -> LineState:
        value = self._client.do("GET", self._keys.state)
        return next((state for state in LineState if state.value.encode() == value), LineState.RUNNING)

    def set_state(self, state: LineState) -> None:
        if state is LineState.RUNNING:
            self._client.do("DEL", self._keys.state)
        else:
            self._client.do("SET", self._keys.state, state.value)
