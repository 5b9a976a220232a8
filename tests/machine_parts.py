"""Two adapters of the stream ports side by side, and a model of what both must do."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from stripwatch.domain.frame import RunId
from stripwatch.errors import Conflict, StripwatchError
from stripwatch.ports import Entry, Kind, LineStream, Outgoing

T = TypeVar("T")
LONG_MS = 3_600_000
"""Longer than any test: only an entry that was handed back is idle for that long."""
FRAMES, RESULTS = "frames", "results"


@dataclass
class Given:
    """An entry in somebody's hands, as the ports' documentation says that it stands."""

    what: Outgoing
    consumer: str
    deliveries: int = 1
    returned: bool = False


@dataclass
class QueueModel:
    """`frames` or `results`: what waits, oldest first, and what is given out, by token."""

    waiting: deque[Outgoing] = field(default_factory=deque)
    given: dict[int, Given] = field(default_factory=dict)

    def of(self, run: RunId) -> int:
        """How many entries of the run have no outcome here."""
        entries = [*self.waiting, *(one.what for one in self.given.values())]
        return sum(one.run == run for one in entries)


@dataclass
class RunModel:
    """One run as the sequence of outcomes makes it."""

    cameras: tuple[str, ...]
    live: bool
    deadline_ms: int
    pins: bytes = b""
    judged: set[tuple[str, int]] = field(default_factory=set)
    failed: dict[tuple[str, int], str] = field(default_factory=dict)
    flagged: set[bytes] = field(default_factory=set)
    ends: dict[str, bytes] = field(default_factory=dict)
    strays: set[str] = field(default_factory=set)
    alarms: set[str] = field(default_factory=set)
    tries: tuple[int, int] = (-1, 0)
    closed: bool = False
    late: int = 0


@dataclass
class Side:
    """One adapter, and the ids that it gave: a token is the same entry's number on both sides."""

    name: str
    line: LineStream
    refusal: str = ""
    """What it said when it last refused something for a conflict."""
    ids: dict[str, dict[int, str]] = field(default_factory=lambda: {FRAMES: {}, RESULTS: {}})
    tokens: dict[str, dict[str, int]] = field(default_factory=lambda: {FRAMES: {}, RESULTS: {}})

    def token(self, queue: str, entry_id: str) -> int:
        """The entry's number, given at first sight."""
        tokens = self.tokens[queue]
        if entry_id not in tokens:
            tokens[entry_id] = len(tokens)
            self.ids[queue][tokens[entry_id]] = entry_id
        return tokens[entry_id]

    def tell(self, queue: str, entries: Iterable[Entry]) -> list[tuple[int, Outgoing, int]]:
        """Entries with their numbers, so that both sides can be compared; in order of their places."""
        in_order = sorted(entries, key=lambda one: tuple(int(part) for part in one.id.split("-")))
        return [
            (self.token(queue, one.id), Outgoing(one.kind, one.run, one.body, one.pixels), one.deliveries)
            for one in in_order
        ]


class Pair:
    """The same step on both adapters; whatever they answer or refuse must be the same."""

    def __init__(self, memory: LineStream, real: LineStream) -> None:
        self.sides = (Side("memory", memory), Side("real", real))

    def do(self, step: Callable[[Side], T]) -> T | str:
        """What both answered; for a refusal of ours its class."""
        answers = [_answer(step, side) for side in self.sides]
        assert answers[0] == answers[1], f"memory and the real server differ: {answers[0]!r}, {answers[1]!r}"
        assert self.sides[0].refusal == self.sides[1].refusal
        return answers[0]


def _answer(step: Callable[[Side], T], side: Side) -> T | str:
    try:
        return step(side)
    except StripwatchError as error:
        if type(error) is Conflict:
            side.refusal = re.sub(r" \(w\d\)", "", str(error))  # of several who hold a line it may name any
        return type(error).__name__


@dataclass
class Books:
    """Where every published frame is: in exactly one place at any time."""

    published: Counter[str] = field(default_factory=Counter)
    settled: Counter[str] = field(default_factory=Counter)
    """Recorded, late, acknowledged, or gone to `dead` with no result to follow."""

    def balance(self, queues: dict[str, QueueModel]) -> None:
        under_way = sum(
            one.kind is not Kind.START
            for queue in queues.values()
            for one in [*queue.waiting, *(given.what for given in queue.given.values())]
        )
        assert self.published.total() == under_way + self.settled.total(), (self.published, self.settled, under_way)
