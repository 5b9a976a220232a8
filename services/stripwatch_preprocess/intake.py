"""New entries, and those that others left behind. One that was handed out before is worked on alone."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from stripwatch.ports import Entry, Kind, LineStream
from stripwatch.runtime.metrics.frames import meter_of
from stripwatch_preprocess.hand import Hand, Ticket

IDLE_BLOCK_MS = 250
"""Only with empty hands: Redis ends a wait when it turns to it, up to 100 ms late, whatever it was told."""
IDLE_S = 0.02
BUSY_S = 0.002
"""When to look for new entries again while batches are under way, then after twice as long up to IDLE_S as long as none
come: many workers would keep Redis from its work. An answer ends the wait at once."""
LONGEST_CLAIM_PAUSE_S = 1.0
SUSPECTS_IN_A_ROW = 8
"""After so many abandoned entries it is the turn of new ones, so that neither starves the other."""


class Intake:
    """Takes entries into the hand while there is room.

    An entry with more than one delivery may have ended whoever had it. It is a suspect: it waits until nothing else
    is being worked on, and until it is done nothing else begins, so that only a failure of its own counts against it.
    """

    def __init__(
        self,
        lines: Sequence[LineStream],
        hand: Hand,
        consumer: str,
        *,
        prefetch: int,
        capacity: int,
        capacity_bytes: int,
        claim_idle_s: float,
        wait: Callable[[float], object],
    ) -> None:
        self._lines = list(lines)
        self._hand = hand
        self._consumer = consumer
        self._prefetch = prefetch
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._largest = 0
        self._idle_ms = round(claim_idle_s * 1000)
        self._pause_s = min(LONGEST_CLAIM_PAUSE_S, claim_idle_s / 4)
        self._wait = wait
        self._claim_at = 0.0
        self._in_a_row = 0
        self._look_again_s = BUSY_S
        self._suspects: deque[Ticket] = deque()
        self.fresh: deque[Ticket] = deque()
        """Taken and not yet looked at."""

    def take(self, *, busy: bool) -> None:
        """Takes what there is; waits a moment if there is nothing. `busy` says that batches are under way."""
        self._claim()
        if self._suspects:
            if busy:
                self._wait(BUSY_S)
            elif not self.fresh:
                self.fresh.append(self._suspects.popleft())
                self._in_a_row += 1
            return
        self._in_a_row = 0
        self._read(busy)

    def wait(self) -> None:
        """Takes nothing for a moment."""
        self._wait(BUSY_S)

    def _read(self, busy: bool) -> None:
        # Each line has its own room: frames of one that wait for a service must not hold up the others.
        rooms = {line.line: self._capacity - self._hand.on(line.line) for line in self._lines}
        count = min(self._prefetch, max(rooms.values()), self._room_in_bytes())
        if count <= 0:
            self._wait(IDLE_S)
            return
        block_ms = 0 if len(self._hand) or len(self._lines) > 1 else IDLE_BLOCK_MS
        got = 0
        for line in self._lines:
            room = min(count - got, rooms[line.line])
            if room > 0:
                tickets = self._take(line, line.frames.read(self._consumer, room, block_ms))
                self.fresh.extend(tickets)
                got += len(tickets)
        self._lines.append(self._lines.pop(0))  # each line is first in its turn
        if self.fresh:
            self._look_again_s = BUSY_S
        elif not block_ms:
            self._wait(self._look_again_s if busy else IDLE_S)
            self._look_again_s = min(IDLE_S, 2 * self._look_again_s)

    def _claim(self) -> None:
        """Takes over abandoned entries: whole ones as they come, suspects one at a time."""
        if self._suspects or self._in_a_row >= SUSPECTS_IN_A_ROW or time.monotonic() < self._claim_at:
            return
        for line in self._lines:
            while self._hand.on(line.line) < self._capacity and self._room_in_bytes() > 0:
                tickets = self._take(line, line.frames.claim(self._consumer, self._idle_ms, 1))
                if not tickets:
                    break
                meter_of(line.line).taken_over(sum(ticket.entry.kind is Kind.FRAME for ticket in tickets))
                if tickets[0].entry.deliveries > 1:
                    self._suspects.extend(tickets)
                    return
                self.fresh.extend(tickets)
        self._claim_at = time.monotonic() + self._pause_s

    def _take(self, line: LineStream, entries: Sequence[Entry]) -> list[Ticket]:
        self._largest = max([self._largest, *(len(entry.pixels) for entry in entries)])
        return self._hand.take(line, entries)

    def _room_in_bytes(self) -> int:
        """How many frames of the largest size seen there is room for; with empty hands always one."""
        if not self._largest:
            return 1
        room = (self._capacity_bytes - self._hand.held_bytes) // self._largest
        return room if len(self._hand) else max(1, room)
