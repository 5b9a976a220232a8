"""Runs and their markers: they declare what was sent, they never conclude anything."""

from __future__ import annotations

from dataclasses import dataclass

from stripwatch.domain.camera import Camera
from stripwatch.domain.frame import MAX_INDEX, IndexRange, RunId
from stripwatch.domain.names import check_name
from stripwatch.errors import BadInput

MAX_CAMERAS = 64

MAX_SHED = 100_000
"""Ranges of shed frames in one camera's end: every second frame of 20 km of strip."""


@dataclass(frozen=True, slots=True)
class RunStart:
    """Says that a run begins: its cameras, the recipe it is judged by, and whether the steel is real.

    `live` runs are watched by a deadline of idle time; in a replay only markers end the run.
    """

    run: RunId
    cameras: tuple[Camera, ...]
    recipe: str
    width_mm: float
    length_mm: float | None
    started_at_ns: int
    simulated: bool = False
    live: bool = True

    def __post_init__(self) -> None:
        check_name("recipe", self.recipe)
        names = [camera.name for camera in self.cameras]
        if not 1 <= len(names) <= MAX_CAMERAS or len(set(names)) != len(names):
            raise BadInput(f"run {self.run}: expected 1 to {MAX_CAMERAS} cameras of different names, got {names}")
        if not 0 < self.width_mm < 1e5:
            raise BadInput(f"run {self.run}: expected a width of more than 0 mm, got {self.width_mm}")
        if self.length_mm is not None and not 0 < self.length_mm < 1e8:
            raise BadInput(f"run {self.run}: expected a length of more than 0 mm, got {self.length_mm}")


@dataclass(frozen=True, slots=True)
class Shed:
    """Frames the source took but did not send, and why."""

    frames: IndexRange
    reason: str


@dataclass(frozen=True, slots=True)
class CameraEnd:
    """Says that a camera is done with a run: it used the indices 0 to `frames` - 1, less what it shed."""

    run: RunId
    camera: str
    frames: int
    shed: tuple[Shed, ...] = ()

    def __post_init__(self) -> None:
        check_name("camera", self.camera)
        if not 0 <= self.frames <= MAX_INDEX + 1:
            raise BadInput(f"camera end: expected 0 to {MAX_INDEX + 1} frames, got {self.frames}")
        if len(self.shed) > MAX_SHED:
            raise BadInput(f"camera end: expected at most {MAX_SHED} shed ranges, got {len(self.shed)}")
        for shed in self.shed:
            if shed.frames.last >= self.frames:
                raise BadInput(f"camera end: shed range {shed.frames} lies beyond the {self.frames} frames declared")
