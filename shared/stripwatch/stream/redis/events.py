"""Verdicts and alarms for those who follow them, on Redis."""

from __future__ import annotations

from stripwatch.domain.frame import RunId
from stripwatch.errors import CursorLost, StripwatchError
from stripwatch.ports import Published
from stripwatch.stream.cursor import checked, trimmed
from stripwatch.stream.keys import Keys, member
from stripwatch.stream.redis.client import Client
from stripwatch.stream.redis.entries import order, published

EVENTS_AT_ONCE = 50
"""In one read of the server: a verdict may have a MiB."""


class RedisEvents:
    """`verdicts` or `alarms` of one line."""

    def __init__(self, client: Client, line: str, key: str) -> None:
        self._client = client
        self._line = line
        self._key = key

    def since(self, cursor: str, count: int, block_ms: int) -> list[Published]:
        after = checked(cursor)
        self._check_place(after)
        block, step = self._client.blocking(block_ms), min(count, EVENTS_AT_ONCE)
        answer = self._client.do("XREAD", "COUNT", step, *block, "STREAMS", self._key, after)
        found = [published(self._line, raw) for raw in answer[0][1]] if answer else []
        if found:
            self._check_gap(after, found[0].cursor)
        return found

    def latest(self) -> str:
        return self._span()[1]

    def page(self, before: str, count: int) -> list[Published]:
        found = self._client.newest(self._key, checked(before) if before else "", count, EVENTS_AT_ONCE)
        return [published(self._line, raw) for raw in found]

    def _span(self) -> tuple[str, str]:
        """The newest id ever removed, and the newest id ever given."""
        try:
            info = self._client.do("XINFO STREAM", self._key)
        except StripwatchError as error:
            if "no such key" not in str(error):
                raise
            return "0-0", "0-0"
        return info["max-deleted-entry-id"].decode(), info["last-generated-id"].decode()

    def _check_place(self, after: str) -> None:
        if order(after) == (0, 0):
            return
        removed, last = self._span()
        if order(after) > order(last):
            raise CursorLost(
                f"{self._key}: cursor {after} lies beyond the stream's last id {last}: was the server replaced?"
            )
        if order(after) < order(removed):
            raise trimmed(self._key, after, removed)

    def _check_gap(self, after: str, first: str) -> None:
        """What was trimmed between the look at the cursor's place and the read must not be passed over."""
        removed, _ = self._span()
        if (0, 0) < order(after) < order(removed) < order(first):
            raise trimmed(self._key, after, removed)


class RedisVerdicts(RedisEvents):
    """Verdicts, also by run."""

    def __init__(self, client: Client, keys: Keys) -> None:
        super().__init__(client, keys.line, keys.verdicts)
        self._keys = keys

    def of(self, run: RunId) -> Published | None:
        found = self._client.do("HGET", self._keys.verdict_of, member(run))
        if found is None:
            return None
        answer = self._client.do("XRANGE", self._keys.verdicts, found, found)
        return published(self._line, answer[0]) if answer else None
