"""The account of a run that is being sent: for each camera, which frames went out and which were held back."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

from stripwatch.domain.frame import IndexRange
from stripwatch.domain.strip import MAX_SHED, CameraEnd, RunStart, Shed
from stripwatch.errors import BadInput
from stripwatch.feed.gate import STOPPED
from stripwatch.runtime.tracing import NOTHING, Span

MOST_GAPS = MAX_SHED // 2
"""Ranges of frames held back that one camera's end declares; the other half is for what the source itself lost."""


@dataclass(slots=True)
class CameraAccount:
    """One camera's frames so far: `following` is the index after the last one taken."""

    following: int = 0
    shed: list[Shed] = field(default_factory=list)
    ended: bool = False

    @property
    def torn(self) -> bool:
        """Whether it has as many gaps as can be declared: nothing more of it goes out, so that each is."""
        return len(self.shed) >= MOST_GAPS

    def took(self, index: int) -> None:
        self.following = max(self.following, index + 1)

    def held_back(self, index: int, reason: str) -> None:
        """The frame does not go out. Neighbours of one reason make one range."""
        self.took(index)
        last = self.shed[-1] if self.shed else None
        if last and last.reason == reason and last.frames.last + 1 == index:
            self.shed[-1] = Shed(IndexRange(last.frames.first, index), reason)
        else:
            self.shed.append(Shed(IndexRange(index, index), reason))

    def declared(self, frames: int, by_source: tuple[Shed, ...]) -> tuple[int, tuple[Shed, ...]]:
        """Frames and shed ranges for the end marker: what the source declares and what was held back here."""
        return max(frames, self.following), tuple(sorted((*by_source, *self.shed), key=lambda shed: shed.frames.first))


class RunAccount:
    """All cameras of one run."""

    def __init__(self, start: RunStart, span: Span = NOTHING) -> None:
        """`span` is the sending of the whole run."""
        self.start = start
        self.span = span
        self._cameras = {camera.name: CameraAccount() for camera in start.cameras}

    def camera(self, name: str) -> CameraAccount:
        try:
            return self._cameras[name]
        except KeyError:
            raise BadInput(
                f"run {self.start.run}: expected a camera of {sorted(self._cameras)}, got {name!r}"
            ) from None

    @property
    def complete(self) -> bool:
        return all(camera.ended for camera in self._cameras.values())

    def end(self, end: CameraEnd) -> CameraEnd:
        """The camera's end as it goes out."""
        account = self.camera(end.camera)
        account.ended = True
        frames, shed = account.declared(end.frames, end.shed)
        return CameraEnd(end.run, end.camera, frames, shed)

    def cut_short(self, reason: str = STOPPED) -> list[CameraEnd]:
        """Ends of the cameras that have none, for a source that stops in mid-run.

        What was still to come is declared as shed, at least one frame: a strip that was not seen to its end must
        never look complete.
        """
        ends = []
        for camera in self.start.cameras:
            account = self._cameras[camera.name]
            if account.ended:
                continue
            length = self.start.length_mm
            planned = ceil(length / camera.frame_length_mm - 1e-9) if length else 0
            frames = max(planned, account.following + 1)
            rest = Shed(IndexRange(account.following, frames - 1), reason)
            ends.append(self.end(CameraEnd(self.start.run, camera.name, frames, (rest,))))
        return ends
