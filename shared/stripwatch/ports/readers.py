"""What is read from a line: verdicts and alarms, copies for a recorder, dead letters, heartbeats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from stripwatch.domain.frame import RunId
from stripwatch.ports.entries import Entry, Outgoing, Published


class EventLog(Protocol):
    """Verdicts or alarms of one line, for those who follow them."""

    def since(self, cursor: str, count: int, block_ms: int) -> list[Published]:
        """Up to `count` events after `cursor` ("" or "0": from the oldest kept); waits up to `block_ms` for one.

        CursorLost if an event after the cursor was trimmed away, or if the cursor lies beyond the stream's end.
        """

    def latest(self) -> str:
        """The cursor after which only events to come lie."""

    def page(self, before: str, count: int) -> list[Published]:
        """Up to `count` events before the cursor ("": the newest), newest first."""


class Verdicts(EventLog, Protocol):
    """Verdicts, to follow or to look up."""

    def of(self, run: RunId) -> Published | None: ...


@dataclass(frozen=True, slots=True)
class Tapped:
    """A copy of an entry that went into `frames`, numbered without gaps while the lease lasts."""

    id: str
    number: int
    entry: Outgoing


class Tap(Protocol):
    """Copies of frames for a recorder."""

    def lease(self, owner: str, ttl_ms: int) -> None:
        """Takes or renews the tap; Conflict while another recorder has it."""

    def release(self, owner: str) -> None: ...

    def read(self, after: str, count: int, block_ms: int) -> list[Tapped]: ...

    def forget(self, up_to: str) -> None: ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What could not be processed: an entry of `frames` or `results`, and why."""

    id: str
    reason: str
    origin: str
    entry: Entry


class Dead(Protocol):
    """What could not be processed, with its reason and bytes."""

    def page(self, count: int) -> list[DeadLetter]:
        """The newest first."""

    def count(self) -> int:
        """How many there are."""

    def requeue(self, letter_id: str) -> bool:
        """Puts it back at the end of the stream it came from; False if there is no such letter."""


class Beats(Protocol):
    """Heartbeats, so that `no defect` and `inspector stopped` look different."""

    def beat(self, stage: str, who: str, ttl_ms: int) -> None: ...

    def alive(self) -> dict[str, list[str]]:
        """Who was heard of lately, by stage."""
