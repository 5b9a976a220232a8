"""All that a line has in Redis, as text that can be kept for years, and back."""

from __future__ import annotations

from typing import Any

import redis

HOUR_MS = 3_600_000
Snapshot = dict[str, Any]
"""By key: its type, what it holds, and `expires` where it does."""


def text_of(value: bytes) -> str:
    """Readable where it is text, `hex:...` where it is not."""
    plain = all(32 <= byte < 127 or byte == 10 for byte in value) and not value.startswith(b"hex:")
    return value.decode() if plain else f"hex:{value.hex()}"


def bytes_of(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("hex:")) if text.startswith("hex:") else text.encode()


def take(raw: redis.Redis, line: str) -> Snapshot:
    """Every key of the line, in the order of their names."""
    found = {}
    for key in sorted(raw.keys(f"sw:{{{line}}}:*")):
        kind = raw.type(key).decode()
        found[key.decode()] = {"type": kind, "holds": _HOLDS[kind](raw, key)}
        if raw.pttl(key) > 0:
            found[key.decode()]["expires"] = True
    return found


def put(raw: redis.Redis, snapshot: Snapshot) -> None:
    """Makes the keys again, as they were: ids, groups and what is pending, with whom. What expires has an hour."""
    for key, known in snapshot.items():
        _PUTS[known["type"]](raw, key, known["holds"])
        if known.get("expires"):
            raw.pexpire(key, HOUR_MS)


def _stream(raw: redis.Redis, key: bytes) -> dict[str, Any]:
    entries = raw.xrange(key)
    return {
        "last": raw.xinfo_stream(key)["last-generated-id"].decode(),
        "entries": {
            one.decode(): {text_of(name): text_of(value) for name, value in fields.items()} for one, fields in entries
        },
        "groups": {group["name"].decode(): _group(raw, key, group) for group in raw.xinfo_groups(key)},
    }


def _group(raw: redis.Redis, key: bytes, group: Any) -> dict[str, Any]:
    pending = raw.xpending_range(key, group["name"], "-", "+", 1000)
    return {
        "last": group["last-delivered-id"].decode(),
        "pending": {one["message_id"].decode(): [one["consumer"].decode(), one["times_delivered"]] for one in pending},
    }


def _put_stream(raw: redis.Redis, key: str, holds: dict[str, Any]) -> None:
    for one, fields in holds["entries"].items():
        raw.xadd(key, {bytes_of(name): bytes_of(value) for name, value in fields.items()}, id=one)
    for name, group in holds["groups"].items():
        raw.xgroup_create(key, name, id=group["last"], mkstream=True)
        for one, (consumer, deliveries) in group["pending"].items():
            how = {"idle": HOUR_MS, "retrycount": deliveries, "force": True, "justid": True}
            raw.xclaim(key, name, consumer, 0, [one], **how)
    raw.execute_command("XSETID", key, holds["last"])


def _hash(raw: redis.Redis, key: bytes) -> dict[str, str]:
    return {text_of(name): text_of(value) for name, value in sorted(raw.hgetall(key).items())}


def _put_hash(raw: redis.Redis, key: str, holds: dict[str, str]) -> None:
    raw.hset(key, mapping={bytes_of(name): bytes_of(value) for name, value in holds.items()})


def _zset(raw: redis.Redis, key: bytes) -> dict[str, str]:
    return {text_of(member): str(score) for member, score in raw.zrange(key, 0, -1, withscores=True)}


def _put_zset(raw: redis.Redis, key: str, holds: dict[str, str]) -> None:
    raw.zadd(key, {bytes_of(member): float(score) for member, score in holds.items()})


def _string(raw: redis.Redis, key: bytes) -> str:
    return text_of(raw.get(key) or b"")


def _put_string(raw: redis.Redis, key: str, holds: str) -> None:
    raw.set(key, bytes_of(holds))


_HOLDS: dict[str, Any] = {"stream": _stream, "hash": _hash, "zset": _zset, "string": _string}
_PUTS: dict[str, Any] = {"stream": _put_stream, "hash": _put_hash, "zset": _put_zset, "string": _put_string}
