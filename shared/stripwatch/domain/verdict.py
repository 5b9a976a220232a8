"""Verdicts and alarms: what the plant hears of a run."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from stripwatch.domain.box import Box
from stripwatch.domain.camera import Side
from stripwatch.domain.defect import Defect
from stripwatch.domain.frame import IndexRange, RunId
from stripwatch.domain.recipe import Disposition, Role
from stripwatch.errors import BadInput

VERDICT_NAMESPACE = uuid.UUID("6c1f6f0e-7d35-5f5c-9d4b-53a3c6b1b6a1")


class LossReason(StrEnum):
    """Why a frame has no scores."""

    FAILED = "failed"
    """It could not be processed; its bytes are in the dead stream."""
    SHED = "shed"
    """Its source did not send it, and said so."""
    NEVER_SEEN = "never-seen"
    """Nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A range of one camera's frames that were not judged, and why."""

    frames: IndexRange
    reason: LossReason
    detail: str = ""


def lost_by(reason: LossReason, losses: Iterable[Loss]) -> int:
    """How many frames were lost for that reason."""
    return sum(len(loss.frames) for loss in losses if loss.reason is reason)


MOST_LOSSES = 100
"""Ranges of lost frames that a verdict lists for each camera, those nearest to the head; the counts hold all."""

MOST_DEFECTS = 1_000
"""Defects that a verdict lists, the largest of them; all are counted."""


@dataclass(frozen=True, slots=True)
class CameraAccount:
    """Every frame of one camera has one outcome: `expected` = `judged` + `failed` + `shed` + `never_seen`."""

    camera: str
    side: Side
    expected: int
    judged: int
    failed: int
    shed: int
    never_seen: int
    lost: tuple[Loss, ...]
    """The frames not judged, as ranges; at most MOST_LOSSES."""
    ended: bool
    """Whether the camera's end marker came."""

    def __post_init__(self) -> None:
        outcomes = self.judged + self.failed + self.shed + self.never_seen
        if self.expected != outcomes:
            raise BadInput(f"camera {self.camera}: expected {self.expected} frames, accounted for {outcomes}")
        listed = sum(len(loss.frames) for loss in self.lost)
        if listed > outcomes - self.judged or (len(self.lost) < MOST_LOSSES and listed < outcomes - self.judged):
            raise BadInput(f"camera {self.camera}: lost {outcomes - self.judged} frames, listed {listed}")


@dataclass(frozen=True, slots=True)
class StripVerdict:
    """The final word on one run.

    `coverage` is inspected area over expected area in units of QUANTUM. `partial` says that not all frames that the
    run declared were judged. `spoke` names the services whose scores were used throughout.
    """

    run: RunId
    disposition: Disposition
    reasons: tuple[str, ...]
    defects: tuple[Defect, ...]
    """By place; at most MOST_DEFECTS of those found."""
    found: int
    """How many defects there are, listed or not."""
    cameras: tuple[CameraAccount, ...]
    coverage: int
    inspected_mm2: int
    models: tuple[str, ...]
    spoke: frozenset[Role]
    recipe: str
    recipe_version: str
    recipe_sha256: str
    partial: bool
    simulated: bool
    started_at_ns: int
    decided_at_ns: int

    @property
    def verdict_id(self) -> str:
        """The CloudEvents id: from the run alone, so that a repeat is seen to be one."""
        return verdict_id(self.run)


def verdict_id(run: RunId) -> str:
    return str(uuid.uuid5(VERDICT_NAMESPACE, str(run)))


@dataclass(frozen=True, slots=True)
class Alarm:
    """A provisional word on a strip that is still running: the first tile of a class on one side."""

    run: RunId
    camera: str
    index: int
    label: str
    side: Side
    box: Box
    confidence: int | None
    anomaly: int | None
    raised_at_ns: int
    crop: bytes = b""
    """JPEG of the strongest tile, where the worker kept one: what an operator wants to see at once."""
