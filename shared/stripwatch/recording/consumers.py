"""Whoever takes a line's frames off: without them a source would only fill the stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stripwatch.errors import PeerUnavailable
from stripwatch.ports import LineStream
from stripwatch.runtime.deadline import Deadline
from stripwatch.runtime.lifecycle import Lifecycle

STAGES = ("preprocess", "aggregate")

_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Consumers:
    """Who has to be alive before a replay begins, and how long it waits for them."""

    stages: Sequence[str] = STAGES
    wait_s: float = 60.0

    def missing(self, line: LineStream) -> list[str]:
        """The stages that nobody of was heard of lately."""
        alive = line.beats.alive()
        return [stage for stage in self.stages if not alive.get(stage)]

    def wait(self, line: LineStream, lifecycle: Lifecycle) -> None:
        """Returns when all are there, or at once when told to stop; PeerUnavailable says who is missing."""
        deadline = Deadline.after(self.wait_s)
        while missing := self.missing(line):
            if not deadline.left():
                raise PeerUnavailable(
                    f"line {line.line}: no {' and no '.join(missing)} worker was heard of within {self.wait_s:g} s; "
                    f"start them (`stripwatch up --line {line.line}`), or check the line's name"
                )
            if not lifecycle.sleep(_LOOK_EVERY_S):
                return
