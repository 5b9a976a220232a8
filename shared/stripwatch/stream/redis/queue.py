"""A stream with a consumer group on Redis."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from stripwatch.errors import StripwatchError
from stripwatch.ports import Backlog, Entry
from stripwatch.stream.redis.client import Client
from stripwatch.stream.redis.entries import entry

log = logging.getLogger(__name__)

_START = "0-0"
RETURNED = "returned"
"""The consumer that handed-back entries belong to until somebody claims them."""


class RedisQueue:
    """`frames` or `results` of one line."""

    def __init__(self, client: Client, line: str, key: str, group: str) -> None:
        self._client = client
        self._line = line
        self._key = key
        self._group = group
        self._claim_from = _START

    def ensure(self) -> None:
        """Makes stream and group where they are missing; the group begins with the oldest entry."""
        try:
            self._client.do("XGROUP CREATE", self._key, self._group, "0", "MKSTREAM")
        except StripwatchError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def read(self, consumer: str, count: int, block_ms: int) -> list[Entry]:
        block: list[str | int] = ["BLOCK", min(block_ms, int(self._client.timeout_s * 800))] if block_ms > 0 else []
        command = ("XREADGROUP", "GROUP", self._group, consumer, "COUNT", count, *block, "STREAMS", self._key, ">")
        try:
            answer = self._client.do(*command)
        except StripwatchError as error:
            if "NOGROUP" not in str(error):
                raise
            log.warning("consumer group was gone, made again", extra={"stream": self._key})
            self.ensure()
            return []
        return [entry(self._line, raw) for raw in answer[0][1]] if answer else []

    def claim(self, consumer: str, idle_ms: int, count: int) -> list[Entry]:
        wrapped = self._claim_from == _START
        while True:
            found = self._claim_some(consumer, idle_ms, count)
            if found or (wrapped and self._claim_from == _START):
                return found
            wrapped = wrapped or self._claim_from == _START

    def _claim_some(self, consumer: str, idle_ms: int, count: int) -> list[Entry]:
        """One step through the pending entries; a step looks at a bounded number of them."""
        command = ("XAUTOCLAIM", self._key, self._group, consumer, idle_ms, self._claim_from, "COUNT", count)
        try:
            following, claimed, *gone = self._client.do(*command)
        except StripwatchError as error:
            if "NOGROUP" not in str(error):
                raise
            self.ensure()
            self._claim_from = _START
            return []
        self._claim_from = following.decode()
        if gone and gone[0]:
            log.error("pending entries had lost their payload", extra={"stream": self._key, "entries": len(gone[0])})
        whole = [raw for raw in claimed if raw[0] is not None and raw[1]]
        counts = self._deliveries([raw[0].decode() for raw in whole])
        return [entry(self._line, raw, deliveries) for raw, deliveries in zip(whole, counts, strict=True)]

    def keep(self, consumer: str, ids: Sequence[str]) -> None:
        if ids:
            self._client.call("keep", [self._key], [self._group, consumer, *ids])

    def hand_back(self, consumer: str, ids: Sequence[str]) -> None:
        if ids:
            self._client.call("hand_back", [self._key], [self._group, consumer, RETURNED, *ids])

    def leave(self, consumer: str) -> bool:
        return bool(self._client.call("leave", [self._key], [self._group, consumer]))

    def backlog(self) -> Backlog:
        return Backlog(*(int(part) for part in self._client.call("backlog", [self._key], [self._group])))

    def _deliveries(self, ids: Sequence[str]) -> list[int]:
        """How often each pending entry was handed out, this time included."""
        if not ids:
            return []
        return [int(count) for count in self._client.call("deliveries", [self._key], [self._group, *ids])]
