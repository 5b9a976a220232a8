"""A stream with a consumer group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stripwatch.ports.entries import Entry


class Queue(Protocol):
    """A stream with a consumer group: `frames` or `results` of one line. An acked entry is gone."""

    def read(self, consumer: str, count: int, block_ms: int) -> list[Entry]:
        """Up to `count` entries nobody was given yet; waits up to `block_ms` for the first (0: does not wait)."""

    def claim(self, consumer: str, idle_ms: int, count: int) -> list[Entry]:
        """Up to `count` entries given to somebody who has not been heard of for `idle_ms`."""

    def keep(self, consumer: str, ids: Sequence[str]) -> None:
        """Says that the consumer is alive and still at work on these."""

    def excuse(self, consumer: str, entries: Sequence[Entry]) -> None:
        """Says that these only wait for something else: their delivery, as handed out, does not count against them."""

    def hand_back(self, consumer: str, ids: Sequence[str]) -> None:
        """Gives untouched entries back, for anyone to claim at once; this delivery does not count."""

    def leave(self, consumer: str) -> bool:
        """Takes the consumer out of the group; False (and nothing done) while it still has entries."""

    def backlog(self) -> Backlog:
        """What waits, ours to count: an acked entry is gone, so the stream's length is the backlog."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """`waiting` entries not yet acked, `pending` of them given to a consumer; `oldest_ms` is the age of the oldest."""

    waiting: int
    pending: int
    oldest_ms: int
