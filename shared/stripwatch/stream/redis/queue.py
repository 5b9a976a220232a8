"""A stream with a consumer group on Redis."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from stripwatch.errors import StripwatchError
from stripwatch.ports import Backlog, Entry
from stripwatch.stream.keys import Keys
from stripwatch.stream.redis.client import Client, Part
from stripwatch.stream.redis.entries import Unreadable, entry
from stripwatch.stream.redis.letters import bury

log = logging.getLogger(__name__)

_START = "0-0"
GONE_MS = 3_600_000
"""A consumer that holds nothing and was not heard of for so long is no more."""
RETURNED = "returned"
"""The consumer that handed-back entries belong to until somebody claims them."""


class RedisQueue:
    """`frames` or `results` of one line."""

    def __init__(self, client: Client, keys: Keys, key: str, group: str) -> None:
        self._client = client
        self._keys = keys
        self._key = key
        self._group = group
        self._claim_from = _START
        self._sweep_at = 0.0

    def ensure(self) -> None:
        """Makes stream and group where they are missing; the group begins with the oldest entry.

        Looks first: a full Redis refuses to make what is there already.
        """
        if self._has_group():
            return
        try:
            self._client.do("XGROUP CREATE", self._key, self._group, "0", "MKSTREAM")
        except StripwatchError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _has_group(self) -> bool:
        try:
            groups = self._client.do("XINFO GROUPS", self._key)
        except StripwatchError as error:
            if "no such key" not in str(error):
                raise
            return False
        return any(group["name"] == self._group.encode() for group in groups)

    def read(self, consumer: str, count: int, block_ms: int) -> list[Entry]:
        block = self._client.blocking(block_ms)
        command = ("XREADGROUP", "GROUP", self._group, consumer, "COUNT", count, *block, "STREAMS", self._key, ">")
        answer = self._grouped(lambda: self._client.do(*command), None)
        return self._readable((raw, 1) for raw in answer[0][1]) if answer else []

    def claim(self, consumer: str, idle_ms: int, count: int) -> list[Entry]:
        wrapped = self._claim_from == _START
        while True:
            found = self._claim_some(consumer, idle_ms, count)
            if found or (wrapped and self._claim_from == _START):
                self._sweep()
                return found
            wrapped = wrapped or self._claim_from == _START

    def _sweep(self) -> None:
        """Now and then takes consumers out of the group that ended without leaving, or their names would pile up."""
        if time.monotonic() >= self._sweep_at:
            self._call("sweep", [GONE_MS], 0)
            self._sweep_at = time.monotonic() + GONE_MS / 1000

    def _claim_some(self, consumer: str, idle_ms: int, count: int) -> list[Entry]:
        """One step through the pending entries; a step looks at a bounded number of them."""
        command = ("XAUTOCLAIM", self._key, self._group, consumer, idle_ms, self._claim_from, "COUNT", count)
        nothing: Any = (_START.encode(), [])
        following, claimed, *gone = self._grouped(lambda: self._client.do(*command), nothing)
        self._claim_from = following.decode()
        if gone and gone[0]:
            log.error("pending entries had lost their payload", extra={"stream": self._key, "entries": len(gone[0])})
        whole = [raw for raw in claimed if raw[0] is not None and raw[1]]
        return self._readable(zip(whole, self._deliveries([raw[0].decode() for raw in whole]), strict=True))

    def keep(self, consumer: str, ids: Sequence[str]) -> None:
        if ids:
            self._call("keep", [consumer, *ids], 0)

    def excuse(self, consumer: str, entries: Sequence[Entry]) -> None:
        if entries:
            counts = [part for one in entries for part in (one.id, one.deliveries - 1)]
            self._call("excuse", [consumer, *counts], 0)

    def hand_back(self, consumer: str, ids: Sequence[str]) -> None:
        if ids:
            self._call("hand_back", [consumer, RETURNED, *ids], 0)

    def leave(self, consumer: str) -> bool:
        return bool(self._call("leave", [consumer], 1))

    def backlog(self) -> Backlog:
        return Backlog(*(int(part) for part in self._call("backlog", [], (0, 0, 0))))

    def _deliveries(self, ids: Sequence[str]) -> list[int]:
        """How often each pending entry was handed out, this time included."""
        return [int(count) for count in self._call("deliveries", ids, [1] * len(ids))] if ids else []

    def _call(self, function: str, args: Sequence[Part], otherwise: Any) -> Any:
        return self._grouped(lambda: self._client.call(function, [self._key], [self._group, *args]), otherwise)

    def _grouped(self, step: Callable[[], Any], otherwise: Any) -> Any:
        """The step's answer; `otherwise` where the group was gone (a server that came back empty): it is made again."""
        try:
            return step()
        except StripwatchError as error:
            if "NOGROUP" not in str(error):
                raise
            log.warning("consumer group was gone, made again", extra={"stream": self._key})
            self.ensure()
            return otherwise

    def _readable(self, raws: Iterable[tuple[Any, int]]) -> list[Entry]:
        """The entries; one that is none of ours goes to `dead` instead of ending whoever reads it."""
        entries = []
        for raw, deliveries in raws:
            try:
                entries.append(entry(self._keys.line, raw, deliveries))
            except Unreadable as error:
                identity, reason = raw[0].decode(), str(error)
                log.warning("unreadable entry", extra={"stream": self._key, "entry": identity, "reason": reason})
                bury(self._client, self._keys, self._key, self._group, identity, reason)
        return entries
