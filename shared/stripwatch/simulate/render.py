"""Pixels of a planned strip: any window, always the same pixels however the strip is cut into windows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stripwatch.domain.camera import Side
from stripwatch.simulate import noise
from stripwatch.simulate.flaws import stamp
from stripwatch.simulate.noise import Grey
from stripwatch.simulate.plan import StripPlan
from stripwatch.simulate.texture import ONE, healthy, offsets, scaled

Image = npt.NDArray[np.uint8]

_BACKGROUND = 4
_SENSOR_NOISE = 1.0


def render(plan: StripPlan, side: Side, x_px: int, height: int, y_px: int, width: int) -> Image:
    """What a camera sees of the strip: (height, width) uint8.

    Row 0 is `x_px` px from the strip's head, column 0 is `y_px` px from its operator-side edge; both may be negative
    or beyond the strip, where there is only dark background.
    """
    rows, columns = plan.shape
    first, last = min(max(x_px, 0), rows), max(min(x_px + height, rows), 0)
    left, right = min(max(y_px, 0), columns), max(min(y_px + width, columns), 0)
    if first < last and left < right:
        steel = healthy(plan.texture, side, plan.mm_per_px, columns, (first, left), (last - first, right - left))
        add_flaws(steel, plan, side, first, left)
        if steel.shape == (height, width):
            return exposed(steel, plan, side, first, left, plan.texture.noise)
    grey = np.full((height, width), _BACKGROUND * ONE, dtype=np.int32)
    image = exposed(grey, plan, side, x_px, y_px, _SENSOR_NOISE)
    if first < last and left < right:
        seen = exposed(steel, plan, side, first, left, plan.texture.noise)
        image[first - x_px : last - x_px, left - y_px : right - y_px] = seen
    return image


def exposed(grey: Grey, plan: StripPlan, side: Side, row: int, column: int, sigma: float) -> Image:
    """1/1024 grey with sensor noise added (in place), rounded to (height, width) uint8."""
    at = offsets(plan.texture.seed, side)
    sensor = noise.window(noise.grain(0), row + at[20], column + at[21], *grey.shape)
    grey += sensor.astype(np.int32) * scaled(sigma)
    grey += ONE // 2
    grey >>= 10
    return np.clip(grey, 0, 255).astype(np.uint8)


def add_flaws(steel: Grey, plan: StripPlan, side: Side, row: int, column: int) -> None:
    """Adds what each flaw in the window does to the steel, in place."""
    height, width = steel.shape
    for flaw in plan.flaws:
        if flaw.side != side:
            continue
        top = round(flaw.box.x_mm / plan.mm_per_px) - row
        left = round(flaw.box.y_mm / plan.mm_per_px) - column
        rows, columns = round(flaw.box.length_mm / plan.mm_per_px), round(flaw.box.width_mm / plan.mm_per_px)
        if top >= height or left >= width or top + rows <= 0 or left + columns <= 0:
            continue
        relief = stamp(flaw.label, flaw.seed, flaw.drawn_px, plan.mm_per_px)
        inside = relief[max(0, -top) : height - top, max(0, -left) : width - left]
        target = steel[max(0, top) : top + rows, max(0, left) : left + columns]
        target += inside * round(flaw.contrast * (ONE // 256))
