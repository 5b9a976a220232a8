"""An append-only stream with ids like Redis': milliseconds and a sequence number."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
Id = tuple[int, int]


def parse_id(text: str) -> Id:
    first, _, second = text.partition("-")
    return int(first), int(second or 0)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Log(Generic[T]):
    """Entries in order of their ids; deleting leaves no trace but `removed`, the newest id ever deleted."""

    changed: threading.Condition
    entries: OrderedDict[Id, T] = field(default_factory=OrderedDict)
    last: Id = (0, 0)
    removed: Id = (0, 0)

    def append(self, item: T) -> str:
        at = now_ms()
        self.last = (at, 0) if at > self.last[0] else (self.last[0], self.last[1] + 1)
        self.entries[self.last] = item
        self.changed.notify_all()
        return f"{self.last[0]}-{self.last[1]}"

    def delete(self, entry_id: str) -> T | None:
        identity = parse_id(entry_id)
        item = self.entries.pop(identity, None)
        if item is not None:
            self.removed = max(self.removed, identity)
        return item

    def after(self, identity: Id, count: int) -> list[tuple[str, T]]:
        found = []
        for at, item in self.entries.items():
            if at > identity:
                found.append((f"{at[0]}-{at[1]}", item))
                if len(found) == count:
                    break
        return found

    def oldest_ms(self) -> int | None:
        return next(iter(self.entries))[0] if self.entries else None

    def wait(self, block_ms: int) -> None:
        self.changed.wait(block_ms / 1000)
