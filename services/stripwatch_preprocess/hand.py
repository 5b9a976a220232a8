"""The entries that this worker was given and has not finished: kept while it lives, finished, or handed back."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from stripwatch.ports import Done, Entry, Kind, LineStream
from stripwatch.runtime import tracing
from stripwatch.runtime.metrics.frames import Course, meter_of
from stripwatch.runtime.tracing import NOTHING, Span
from stripwatch.stream.keys import FRAMES_GROUP


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """An entry of a line's `frames` stream."""

    line: LineStream
    entry: Entry
    span: Span = NOTHING
    taken_at: float = field(default_factory=time.monotonic)


class Hand:
    """Every entry stays in hand until its outcome is published, whatever happens in between."""

    def __init__(self, consumer: str, keep_every_s: float) -> None:
        self._consumer = consumer
        self._keep_every_s = keep_every_s
        self._keep_at = 0.0
        self._held: dict[tuple[str, str], Ticket] = {}
        self._excused: set[tuple[str, str]] = set()
        self._finished: list[tuple[Ticket, Done, Course | None]] = []
        self._buried: list[tuple[Ticket, Done, str]] = []
        self._sending: dict[tuple[str, str], Span] = {}

    def __len__(self) -> int:
        return len(self._held)

    def on(self, line: str) -> int:
        """How many entries of one line."""
        return sum(name == line for name, _ in self._held)

    @property
    def held_bytes(self) -> int:
        """Of all frames in hand."""
        return sum(len(ticket.entry.pixels) for ticket in self._held.values())

    def __contains__(self, ticket: Ticket) -> bool:
        return _key(ticket) in self._held

    @property
    def unpublished(self) -> bool:
        """Whether outcomes wait to be published."""
        return bool(self._finished or self._buried)

    def take(self, line: LineStream, entries: Iterable[Entry]) -> list[Ticket]:
        """Tickets for the entries, less those in hand already: slow as we were, we were given our own."""
        tickets = []
        for entry in entries:
            ticket = Ticket(line, entry, tracing.taken("process", "frames", entry, FRAMES_GROUP, self._consumer))
            if ticket not in self:
                self._held[_key(ticket)] = ticket
                tickets.append(ticket)
        return tickets

    def finish(self, ticket: Ticket, kind: Kind, body: bytes, course: Course | None = None) -> None:
        """Notes the outcome, for `publish`; a frame without a course came too late to be judged."""
        self._finished.append((ticket, self._done(ticket, kind, body), course))

    def bury(self, ticket: Ticket, kind: Kind, body: bytes, reason: str) -> None:
        """Notes that it can never be judged; its bytes go to `dead`. Without a body there is no result."""
        self._buried.append((ticket, self._done(ticket, kind, body), reason))

    def publish(self) -> None:
        """Publishes all outcomes and acks their entries. What fails stays for the next time: both are idempotent."""
        lines = {ticket.line.line: ticket.line for ticket, _, _ in self._finished}
        for name, line in lines.items():
            noted = [one for one in self._finished if one[0].line.line == name]
            were_ours = line.work.finish([done for _, done, _ in noted])
            self._finished = [one for one in self._finished if one[0].line.line != name]
            for (ticket, _, course), was_ours in zip(noted, were_ours, strict=True):
                self._let_go(ticket)
                if was_ours and ticket.entry.kind is Kind.FRAME:
                    _count(name, course)
        while self._buried:
            ticket, done, reason = self._buried[0]
            was_ours = ticket.line.work.bury(done, reason)
            self._buried.pop(0)
            self._let_go(ticket, reason)
            if was_ours and ticket.entry.kind is Kind.FRAME:
                meter_of(ticket.line.line).failed()

    def _done(self, ticket: Ticket, kind: Kind, body: bytes) -> Done:
        entry, trace = ticket.entry, ticket.entry.trace
        if ticket.span and body:
            facts = {**tracing.of_run(entry.run), "messaging.message.body.size": len(body)}
            sending = self._sending[_key(ticket)] = tracing.sent(ticket.span.child, "results", kind, facts)
            trace = sending.context
        return Done(entry.id, kind, entry.run, body, trace)

    def _let_go(self, ticket: Ticket, fault: str = "") -> None:
        self._held.pop(_key(ticket), None)
        if ticket.span:
            self._sending.pop(_key(ticket), NOTHING).end()
            ticket.span.end(fault)

    def keep(self) -> None:
        """Now and then says that we are still at work on all of it."""
        if time.monotonic() < self._keep_at:
            return
        for line, ids in self._by_line():
            line.frames.keep(self._consumer, ids)
        self._keep_at = time.monotonic() + self._keep_every_s

    def excuse(self, waiting: Iterable[Ticket]) -> None:
        """Says once of each entry that it only waits: should we end meanwhile, that was not its doing."""
        fresh = [ticket for ticket in waiting if _key(ticket) not in self._excused and ticket in self]
        for name, line in {ticket.line.line: ticket.line for ticket in fresh}.items():
            line.frames.excuse(self._consumer, [ticket.entry for ticket in fresh if ticket.line.line == name])
        self._excused |= {_key(ticket) for ticket in fresh}
        self._excused &= self._held.keys()

    def hand_back(self) -> int:
        """Gives everything back for others to take at once; how many that were."""
        count = len(self._held)
        for line, ids in self._by_line():
            line.frames.hand_back(self._consumer, ids)
        for ticket in self._held.values():
            ticket.span.end("handed back")
        self._held.clear()
        return count

    def _by_line(self) -> list[tuple[LineStream, list[str]]]:
        lines: dict[str, tuple[LineStream, list[str]]] = {}
        for ticket in self._held.values():
            lines.setdefault(ticket.line.line, (ticket.line, []))[1].append(ticket.entry.id)
        return list(lines.values())


def _count(line: str, course: Course | None) -> None:
    if course is None:
        meter_of(line).late()
    else:
        meter_of(line).judged(course, time.monotonic())


def _key(ticket: Ticket) -> tuple[str, str]:
    return ticket.line.line, ticket.entry.id
