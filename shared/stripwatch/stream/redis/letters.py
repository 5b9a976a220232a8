"""Entries that nobody can make sense of go to `dead` as they are."""

from __future__ import annotations

from stripwatch.stream.keys import Keys
from stripwatch.stream.redis.client import Client


def bury_raw(client: Client, keys: Keys, stream: str, group: str, entry_id: str, reason: str) -> None:
    """Moves an entry of `frames` or `results` to `dead` with the reason; it has no result."""
    origin = "frames" if stream == keys.frames else "results"
    names = [stream, stream, keys.dead, keys.dead_bytes]
    client.call("bury", names, [group, entry_id, reason, origin, client.share_of_memory(keys.dead), "", "", ""])
