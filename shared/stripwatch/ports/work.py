"""What the preprocessing worker does with frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stripwatch.domain.frame import RunId
from stripwatch.ports.entries import Kind


@dataclass(frozen=True, slots=True)
class Done:
    """A frame entry that has its outcome: what goes to `results` in the same step as the ack, `trace` its context."""

    id: str
    kind: Kind
    run: RunId
    body: bytes
    trace: str = ""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run's start marker and pins as stored; empty where there are none."""

    start: bytes = b""
    pins: bytes = b""
    closed: bool = False


class Work(Protocol):
    """What the preprocessing worker does with frames beyond reading them."""

    def finish(self, done: Sequence[Done]) -> list[bool]:
        """For each: result in, frame acked and deleted, in one atomic step, also when memory is full.

        Which of them were still ours; one that somebody else finished first is passed over.
        """

    def bury(self, done: Done, reason: str) -> bool:
        """Like `finish`, and the frame's bytes go to `dead` with the reason."""

    def info(self, run: RunId) -> RunInfo: ...

    def pin(self, run: RunId, pins: bytes) -> bytes:
        """Sets the run's pins if it has none; returns those in force."""
