"""What the preprocessing worker does with frames, on Redis."""

from __future__ import annotations

from collections.abc import Sequence

from stripwatch.domain.frame import RunId
from stripwatch.ports import Done, RunInfo
from stripwatch.stream.keys import FRAMES_GROUP, Keys, member
from stripwatch.stream.redis.client import Call, Client
from stripwatch.stream.redis.letters import bury


class RedisWork:
    """Outcomes of frames, and the pins of their runs."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def finish(self, done: Sequence[Done]) -> list[bool]:
        keys = self._keys
        calls: list[Call] = [
            (
                "finish",
                [keys.frames, keys.results, keys.run(one.run)],
                [FRAMES_GROUP, one.id, one.kind.value, member(one.run), one.body, one.trace],
            )
            for one in done
        ]
        return [bool(answer) for answer in self._client.call_all(calls)]

    def bury(self, done: Done, reason: str) -> bool:
        return bury(self._client, self._keys, self._keys.frames, FRAMES_GROUP, done.id, reason, done)

    def info(self, run: RunId) -> RunInfo:
        start, pins, closed = self._client.do("HMGET", self._keys.run(run), "start", "pins", "closed")
        return RunInfo(start or b"", pins or b"", closed is not None)

    def pin(self, run: RunId, pins: bytes) -> bytes:
        answer: bytes = self._client.call("pin", [self._keys.run(run)], [pins])
        return answer
