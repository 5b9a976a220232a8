"""Frames whose tiles travel together, and what becomes of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from stripwatch.domain.recipe import Role
from stripwatch.errors import StripwatchError
from stripwatch.ports import Tiles
from stripwatch.runtime.deadline import backoff
from stripwatch.runtime.tracing import NOTHING, Span
from stripwatch_preprocess.ask import Ask
from stripwatch_preprocess.hand import Ticket
from stripwatch_preprocess.judge import RoleScores
from stripwatch_preprocess.plan import Plan
from stripwatch_preprocess.relay import Relay
from stripwatch_preprocess.transform import CutFrame


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A frame on its way through the model services."""

    ticket: Ticket
    frame: CutFrame
    begun_at: float
    span: Span = NOTHING
    cut_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Scored:
    """A frame with the scores of each service that spoke."""

    job: Job
    scores: RoleScores
    fault = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A frame that the model services will never take."""

    job: Job
    reason: str

    @property
    def fault(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Stranded:
    """A frame whose model no replica has any more."""

    job: Job
    fault = "no replica has its model any more"


Settled = Scored | Refused | Stranded


@dataclass(slots=True, eq=False)
class Batch:
    """Jobs of one plan key. `scores` are those that came, `asks` what is still asked for."""

    jobs: Sequence[Job]
    asks: dict[Role, Ask | Relay] = field(default_factory=dict)
    scores: dict[Role, npt.NDArray[np.int32]] = field(default_factory=dict)
    rests_until: float = 0.0
    failures: int = 0
    since: float = field(default_factory=time.monotonic)
    slow: int = 0
    waits: Iterator[float] = field(default_factory=lambda: backoff(0.2, 2.0))
    span: Span = NOTHING

    @property
    def plan(self) -> Plan:
        return self.jobs[0].frame.plan

    @property
    def relays(self) -> bool:
        """Whether the anomaly scorer waits for what the classifier says of the tiles.

        Not after a rest: a classifier that let the budget run out left the other none of it.
        """
        return self.plan.has_one_backbone and not self.scores and not self.rests_until

    def missing(self) -> list[Role]:
        return [role for role in self.plan.specs if role not in self.scores]

    def tiles(self, role: Role) -> Tiles:
        """All tiles of the batch for one role, (N, channels, size, size)."""
        parts: list[npt.NDArray[Any]] = [job.frame.inputs[role] for job in self.jobs]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def trace(self) -> None:
        """Begins a span: a part of its first frame's trace, and linked both ways with each whose trace is taken."""
        traced = [job.span for job in self.jobs if job.span]
        if traced:
            tiles = sum(len(job.frame.tiles) for job in self.jobs)
            facts = {"stripwatch.frames": len(self.jobs), "stripwatch.tiles": tiles}
            self.span = traced[0].child("batch", links=[span.context for span in traced], facts=facts)
            for span in traced:
                span.link(self.span.context)

    def rest(self) -> None:
        """Waits before it is tried again: a service that it needs is away."""
        self.rests_until = time.monotonic() + next(self.waits)

    def poll(self) -> bool:
        """Whether all that was asked for is over."""
        over = [ask.poll() for ask in self.asks.values()]  # each of them: one that waits must not hold up another
        return all(over)

    def collect(self) -> dict[Role, StripwatchError]:
        """Takes the scores that came; the faults of the others."""
        faults = {}
        for role, ask in self.asks.items():
            if ask.scores is not None:
                self.scores[role] = ask.scores
            elif ask.fault is not None:
                faults[role] = ask.fault
        self.asks = {}
        return faults

    def scored(self) -> list[Settled]:
        """Each job with its own scores."""
        settled: list[Settled] = []
        at = 0
        for job in self.jobs:
            end = at + len(job.frame.tiles)
            settled.append(Scored(job, {role: scores[at:end] for role, scores in self.scores.items()}))
            at = end
        return settled
