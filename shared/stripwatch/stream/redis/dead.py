"""Dead letters and heartbeats, on Redis."""

from __future__ import annotations

from typing import Any

from stripwatch.ports import DeadLetter, Entry, Kind
from stripwatch.stream.keys import Keys, run_of
from stripwatch.stream.redis.client import Client


class RedisDead:
    """What could not be processed, with its reason and bytes."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def page(self, count: int) -> list[DeadLetter]:
        return [self._letter(raw) for raw in self._client.do("XREVRANGE", self._keys.dead, "+", "-", "COUNT", count)]

    def _letter(self, raw: Any) -> DeadLetter:
        identity, parts = raw[0].decode(), raw[1]
        kind, run = parts.get(b"k", b"frame").decode(), parts.get(b"r", b"unknown:unknown").decode()
        return DeadLetter(
            id=identity,
            reason=parts[b"reason"].decode(errors="replace"),
            origin=parts[b"origin"].decode(),
            entry=Entry(identity, Kind(kind), run_of(self._keys.line, run), parts.get(b"b", b""), parts.get(b"p", b"")),
        )

    def requeue(self, letter_id: str) -> bool:
        return bool(self._client.call("requeue", [self._keys.dead, self._keys.frames, self._keys.results], [letter_id]))


class RedisBeats:
    """Heartbeats: keys that expire."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def beat(self, stage: str, who: str, ttl_ms: int) -> None:
        self._client.do("SET", self._keys.beat(stage, who), "1", "PX", ttl_ms)

    def alive(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        prefix = self._keys.beat_prefix()
        for key in sorted(self._client.keys(f"{prefix}*")):
            stage, _, who = key.removeprefix(prefix).partition(":")
            found.setdefault(stage, []).append(who)
        return found
