"""A stream with a consumer group, in memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stripwatch.ports import Backlog, Entry, Outgoing
from stripwatch.runtime.tracing import traceparent
from stripwatch.stream.memory.log import Id, Log, now_ms, parse_id


@dataclass
class _Pending:
    consumer: str
    since: float
    deliveries: int


class MemoryQueue:
    """`frames` or `results` of one line."""

    def __init__(self, log: Log[Outgoing]) -> None:
        self.log = log
        self._delivered: Id = (0, 0)
        self._pending: dict[str, _Pending] = {}

    def read(self, consumer: str, count: int, block_ms: int) -> list[Entry]:
        with self.log.changed:
            found = self.log.after(self._delivered, count)
            if not found and block_ms > 0:
                self.log.wait(block_ms)
                found = self.log.after(self._delivered, count)
            for identity, _ in found:
                self._delivered = parse_id(identity)
                self._pending[identity] = _Pending(consumer, time.monotonic(), 1)
            return [_entry(identity, item) for identity, item in found]

    def claim(self, consumer: str, idle_ms: int, count: int) -> list[Entry]:
        with self.log.changed:
            now = time.monotonic()
            stale = [name for name, one in self._pending.items() if (now - one.since) * 1000 >= idle_ms][:count]
            claimed = []
            for identity in stale:
                item = self.log.entries.get(parse_id(identity))
                if item is None:
                    del self._pending[identity]
                    continue
                deliveries = self._pending[identity].deliveries + 1
                self._pending[identity] = _Pending(consumer, now, deliveries)
                claimed.append(replace(_entry(identity, item), deliveries=deliveries))
            return claimed

    def keep(self, consumer: str, ids: Sequence[str]) -> None:
        with self.log.changed:
            for one in self._mine(consumer, ids):
                one.since = time.monotonic()

    def excuse(self, consumer: str, entries: Sequence[Entry]) -> None:
        with self.log.changed:
            for given in entries:
                for one in self._mine(consumer, [given.id]):
                    one.deliveries = given.deliveries - 1

    def hand_back(self, consumer: str, ids: Sequence[str]) -> None:
        with self.log.changed:
            for one in self._mine(consumer, ids):
                one.consumer, one.since, one.deliveries = "returned", -1e9, max(0, one.deliveries - 1)

    def _mine(self, consumer: str, ids: Sequence[str]) -> list[_Pending]:
        pending = (self._pending.get(identity) for identity in ids)
        return [one for one in pending if one is not None and one.consumer == consumer]

    def leave(self, consumer: str) -> bool:
        with self.log.changed:
            return all(one.consumer != consumer for one in self._pending.values())

    def backlog(self) -> Backlog:
        with self.log.changed:
            oldest = self.log.oldest_ms()
            return Backlog(len(self.log.entries), len(self._pending), now_ms() - oldest if oldest else 0)

    def next_ms(self) -> int | None:
        """When the oldest entry came that nobody was given yet. The caller holds the lock."""
        following = self.log.after(self._delivered, 1)
        return parse_id(following[0][0])[0] if following else None

    def ack(self, entry_id: str) -> Outgoing | None:
        """Acks and deletes; None if it was not pending. The caller holds the lock."""
        if self._pending.pop(entry_id, None) is None:
            return None
        return self.log.delete(entry_id)


def _entry(identity: str, item: Outgoing) -> Entry:
    return Entry(identity, item.kind, item.run, item.body, item.pixels, trace=traceparent(item.trace))
