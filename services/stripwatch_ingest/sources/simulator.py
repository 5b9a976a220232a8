"""Simulated strips under simulated cameras, side by side across the width, on one or both sides."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Encoding, Frame, FrameHeader
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.simulate import StripPlan, render
from stripwatch.simulate.series import StripSeries
from stripwatch_ingest.source import Event, RunTemplate
from stripwatch_ingest.sources.encode import encoded

MARGIN_PX = 40
"""What is seen beyond the strip's edges, head and tail."""
OVERLAP_PX = 20
"""What two neighbouring cameras both see."""


@dataclass(frozen=True, slots=True)
class View:
    """One simulated camera: its columns, counted in px from the operator-side edge."""

    name: str
    side: Side
    first_px: int
    width_px: int

    def camera(self, strip_px: int, height_px: int, mm_per_px: float) -> Camera:
        """The camera with the area of strip, without background, that one of its frames covers."""
        seen = min(self.first_px + self.width_px, strip_px) - max(self.first_px, 0)
        return Camera(self.name, self.side, height_px * mm_per_px, seen * mm_per_px)


def views(side: Side, cameras: int, strip_px: int) -> list[View]:
    """`cameras` views that together see the whole width and a margin on both sides of it."""
    span = strip_px + 2 * MARGIN_PX
    width = ceil((span + (cameras - 1) * OVERLAP_PX) / cameras)
    return [
        View(f"{side.value}-{number + 1}", side, -MARGIN_PX + number * (width - OVERLAP_PX), width)
        for number in range(cameras)
    ]


class SimulatorSource:
    """`strips` strips of a series (0: without end); what is truly on them is the series' to tell, never the frames'."""

    def __init__(
        self,
        series: StripSeries,
        template: RunTemplate,
        *,
        strips: int,
        cameras_per_side: int,
        frame_height: int,
        encoding: Encoding,
    ) -> None:
        self._series = series
        self._template = template
        self._strips = strips
        self._cameras = cameras_per_side
        self._height = frame_height
        self._encoding = encoding

    def ready(self) -> str | None:
        return None

    def close(self) -> None:
        """Nothing stays open."""

    def events(self) -> Iterator[Event]:
        number = 0
        while number < self._strips or not self._strips:
            name = self._series.strip(number)
            yield from self._run(self._series.plan(number), self._template.strip or name)
            number += 1

    def _run(self, plan: StripPlan, strip: str) -> Iterator[Event]:
        rows, columns = plan.shape
        seen = [view for side in self._series.sides for view in views(side, self._cameras, columns)]
        start = self._template.start(
            strip,
            [view.camera(columns, self._height, plan.mm_per_px) for view in seen],
            width_mm=plan.width_mm,
            length_mm=plan.length_mm,
            simulated=True,
        )
        yield start
        count = ceil((rows + 2 * MARGIN_PX) / self._height)
        for index in range(count):
            for view in seen:
                yield self._frame(plan, start, view, index)
        for view in seen:
            yield CameraEnd(start.run, view.name, count)

    def _frame(self, plan: StripPlan, start: RunStart, view: View, index: int) -> Frame:
        row = index * self._height - MARGIN_PX
        image = render(plan, view.side, row, self._height, view.first_px, view.width_px)
        header = FrameHeader(
            run=start.run,
            camera=view.name,
            side=view.side,
            index=index,
            x_mm=row * plan.mm_per_px,
            y_mm=view.first_px * plan.mm_per_px,
            mm_per_px=plan.mm_per_px,
            captured_at_ns=time.time_ns(),
            height=self._height,
            width=view.width_px,
            encoding=self._encoding,
        )
        return Frame(header, encoded(image, self._encoding))
