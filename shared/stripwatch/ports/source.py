"""The side of a line where frames come in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from stripwatch.domain.frame import RunId
from stripwatch.ports.entries import Outgoing


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes that the stream's server uses, and its limit (0: none)."""

    used: int
    limit: int


class LineState(StrEnum):
    """What the operator has asked of a line's sources."""

    RUNNING = "running"
    PAUSED = "paused"
    """Sources hold frames back: replays wait, live sources shed and say so."""
    DRAINING = "draining"
    """No new run starts; open ones are finished."""


class Source(Protocol):
    """The side of a line where frames come in."""

    def start_run(
        self, run: RunId, body: bytes, *, cameras: Sequence[str], live: bool, deadline_ms: int, trace: str = ""
    ) -> bool:
        """Opens the run and publishes its start in one step; False if it is open already. Conflict if it is closed.

        `body` is the start marker, `trace` the context that the start and the verdict continue. An acknowledged start
        gets a verdict.
        """

    def publish(self, entries: Sequence[Outgoing]) -> None:
        """Appends frames and end markers of runs that were started; Conflict where one was not."""

    def memory(self) -> MemoryUse: ...

    def waited_ms(self) -> int:
        """For how long the oldest entry of `frames` has waited that no worker was given yet; 0 where there is none."""

    def hold(self, owner: str, *, live: bool, ttl_ms: int) -> None:
        """Takes or renews the line for a source. Conflict: replays and live sources exclude each other."""

    def release(self, owner: str) -> None: ...

    def state(self) -> LineState: ...

    def set_state(self, state: LineState) -> None: ...
