"""What a source of frames is, and what all runs of one source have in common."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from stripwatch.domain.camera import Camera
from stripwatch.domain.frame import Frame, RunId
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.feed import new_run_id

Event = RunStart | Frame | CameraEnd


class FrameSource(Protocol):
    """Where frames come from.

    Runs as events: a start, then frames in the order of their time over all cameras (each camera's index from 0, its
    `x_mm` advancing with it), then an end for each camera with the number of frames and what was lost before it
    could be sent.
    """

    def events(self) -> Iterator[Event]:
        """All there is, or until the source is closed. BadInput names what cannot be used."""

    def ready(self) -> str | None:
        """None while frames can be had; otherwise why not."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class RunTemplate:
    """What the settings say about every run of a source; empty names are given by the source."""

    line: str
    recipe: str
    live: bool
    mm_per_px: float
    strip: str = ""
    run: str = ""
    width_mm: float | None = None

    def start(
        self,
        strip: str,
        cameras: Sequence[Camera],
        *,
        width_mm: float,
        length_mm: float | None,
        simulated: bool = False,
    ) -> RunStart:
        """The start of a run that begins now."""
        return RunStart(
            run=RunId(self.line, strip, self.run or new_run_id()),
            cameras=tuple(cameras),
            recipe=self.recipe,
            width_mm=width_mm,
            length_mm=length_mm,
            started_at_ns=time.time_ns(),
            simulated=simulated,
            live=self.live,
        )
