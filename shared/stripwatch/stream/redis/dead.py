"""Dead letters and heartbeats, on Redis."""

from __future__ import annotations

from typing import Any

from stripwatch.domain.frame import RunId
from stripwatch.ports import DeadLetter, Entry, Kind
from stripwatch.stream.keys import Keys, member
from stripwatch.stream.redis.client import Client
from stripwatch.stream.redis.entries import Unreadable, entry

LETTERS_AT_ONCE = 16
"""In one read of the server: each may hold a whole frame."""


class RedisDead:
    """What could not be processed, with its reason and bytes."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def page(self, count: int) -> list[DeadLetter]:
        return [self._letter(raw) for raw in self._client.newest(self._keys.dead, "", count, LETTERS_AT_ONCE)]

    def count(self) -> int:
        return int(self._client.do("XLEN", self._keys.dead))

    def _letter(self, raw: Any) -> DeadLetter:
        identity, parts = raw[0].decode(), raw[1]
        try:
            letter = entry(self._keys.line, raw)
        except Unreadable:
            unknown = RunId(self._keys.line, "unknown", "unknown")
            letter = Entry(identity, Kind.FRAME, unknown, parts.get(b"b", b""), parts.get(b"p", b""))
        reason, origin = (parts.get(name, b"unknown").decode(errors="replace") for name in (b"reason", b"origin"))
        return DeadLetter(identity, reason, origin, letter)

    def requeue(self, letter_id: str) -> bool:
        found = self._client.do("XRANGE", self._keys.dead, letter_id, letter_id)
        if not found:
            return False
        run, keys = self._letter(found[0]).entry.run, self._keys
        names = [keys.dead, keys.dead_bytes, keys.frames, keys.results, keys.run(run), keys.open]
        return bool(self._client.call("requeue", names, [letter_id, member(run)]))


class RedisBeats:
    """Heartbeats: keys that expire."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def beat(self, stage: str, who: str, ttl_ms: int) -> None:
        self._client.call("beat", [self._keys.beat(stage, who)], [ttl_ms])

    def alive(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        prefix = self._keys.beat_prefix()
        for key in sorted(self._client.keys(f"{prefix}*")):
            stage, _, who = key.removeprefix(prefix).partition(":")
            found.setdefault(stage, []).append(who)
        return found
