"""Copies of frames for a recorder, on Redis."""

from __future__ import annotations

from stripwatch.errors import Conflict
from stripwatch.ports import Outgoing, Tapped
from stripwatch.stream.keys import Keys
from stripwatch.stream.redis.client import Client
from stripwatch.stream.redis.entries import entry


class RedisTap:
    """Filled by the publish step itself while somebody holds the lease."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def lease(self, owner: str, ttl_ms: int) -> None:
        other = self._client.call("lease", [self._keys.tap_lease, self._keys.tap], [owner, ttl_ms]).decode()
        if other:
            raise Conflict(f"line {self._keys.line} is being recorded by {other}; one recorder at a time")

    def release(self, owner: str) -> None:
        self._client.call("unlease", [self._keys.tap_lease, self._keys.tap], [owner])

    def read(self, after: str, count: int, block_ms: int) -> list[Tapped]:
        block = self._client.blocking(block_ms)
        answer = self._client.do("XREAD", "COUNT", count, *block, "STREAMS", self._keys.tap, after or "0-0")
        return [self._tapped(raw) for raw in answer[0][1]] if answer else []

    def _tapped(self, raw: tuple[bytes, dict[bytes, bytes]]) -> Tapped:
        one = entry(self._keys.line, raw)
        return Tapped(one.id, int(raw[1][b"n"]), Outgoing(one.kind, one.run, one.body, one.pixels))

    def forget(self, up_to: str) -> None:
        self._client.do("XTRIM", self._keys.tap, "MINID", up_to)
