"""Dead letters: entries of `frames` or `results` that end without being processed, with reason and bytes."""

from __future__ import annotations

from stripwatch.ports import Done
from stripwatch.runtime.metrics.service import DEAD_LETTERS
from stripwatch.stream.keys import Keys, member
from stripwatch.stream.redis.client import Client, Part


def bury(
    client: Client, keys: Keys, stream: str, group: str, entry_id: str, reason: str, result: Done | None = None
) -> bool:
    """Moves an entry to `dead`, acks it and publishes its failed result, if there is one; False if it was not ours."""
    origin = "frames" if stream == keys.frames else "results"
    names = [stream, keys.results, keys.dead, keys.dead_bytes]
    letter: list[Part] = [group, entry_id, reason, origin, client.share_of_memory(keys.dead)]
    given: list[Part] = ["", "", "", ""]
    if result is not None:
        names.append(keys.run(result.run))
        given = [result.kind.value, member(result.run), result.body, result.trace]
    ours = bool(client.call("bury", names, [*letter, *given]))
    if ours:
        DEAD_LETTERS.labels(keys.line).inc()
    return ours
