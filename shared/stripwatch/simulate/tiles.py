"""Single tiles for training: healthy steel, or one flaw somewhere in the tile or partly over its border."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from stripwatch.domain.box import Box
from stripwatch.domain.camera import Side
from stripwatch.simulate.flaws import VISIBLE, draw_flaw, stamp
from stripwatch.simulate.plan import StripPlan
from stripwatch.simulate.render import Image, render
from stripwatch.simulate.texture import draw_texture

_STRIDE = 4
_STRIP_PX = 4096
_HEAD_PX = 1024


def clean_tile(rng: np.random.Generator, size: int = 200, mm_per_px: float = 0.5) -> Image:
    """A tile of healthy steel of a random texture: (size, size) uint8."""
    plan = random_strip(rng, mm_per_px)
    row, column = rng.integers(0, _STRIP_PX - size, size=2)
    return render(plan, Side.TOP, int(row), size, int(column), size)


def flaw_tile(
    rng: np.random.Generator,
    label: str,
    size: int = 200,
    mm_per_px: float = 0.5,
    min_visible: float = 0.3,
    min_size_mm: float = 20.0,
) -> tuple[Image, float]:
    """A tile with one flaw in a random texture, and how much of the flaw is in it.

    The fraction is the flaw's visible px in the tile over the most that a tile of this size could hold of it:
    `min_visible` to 1.
    """
    plan = random_strip(rng, mm_per_px)
    flaw = draw_flaw(int(rng.integers(0, 1 << 62)), label, plan.texture, mm_per_px=mm_per_px, min_size_mm=min_size_mm)
    relief = stamp(flaw.label, flaw.seed, flaw.drawn_px, mm_per_px)
    held = visible_px(np.abs(relief) >= VISIBLE, size)
    enough = np.argwhere(held >= min(min_visible, 1.0) * held.max())
    row, column = enough[int(rng.integers(len(enough)))]
    box = Box(_HEAD_PX * mm_per_px, _HEAD_PX * mm_per_px, flaw.box.length_mm, flaw.box.width_mm)
    plan = replace(plan, flaws=(replace(flaw, box=box),))
    top, left = (int(at) * _STRIDE + _HEAD_PX - size for at in (row, column))
    return render(plan, Side.TOP, top, size, left, size), float(held[row, column] / held.max())


def random_strip(rng: np.random.Generator, mm_per_px: float) -> StripPlan:
    """A strip without flaws, large enough for any tile."""
    seed = int(rng.integers(0, 1 << 62))
    return StripPlan(seed, _STRIP_PX * mm_per_px, _STRIP_PX * mm_per_px, mm_per_px, draw_texture(seed), ())


def visible_px(mask: npt.NDArray[np.bool_], size: int) -> npt.NDArray[np.int64]:
    """How many px of the mask a tile of `size` holds, for tiles every `_STRIDE` px from -size on: (n, m) int64."""
    padded = np.pad(mask, ((size + 1, size + _STRIDE), (size + 1, size + _STRIDE))).astype(np.int64)
    total = padded.cumsum(axis=0).cumsum(axis=1)
    held = total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    return np.asarray(held[::_STRIDE, ::_STRIDE])
