"""Flaws of a planned strip: what kind, where, how strong; and the stamp each leaves in the steel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stripwatch.domain.box import Box
from stripwatch.domain.camera import Side
from stripwatch.errors import BadInput
from stripwatch.simulate.noise import Grey
from stripwatch.simulate.shapes import SHAPES
from stripwatch.simulate.texture import Texture, between

MAX_SIZE_MM = 150.0
VISIBLE = 56
"""From this share of the contrast on, in 1/256, a pixel counts as part of the flaw."""

FULL = 384
"""Most that a pixel of a flaw differs, in 1/256 of the contrast."""

NEU_MM_PER_PX = 0.5
_ELONGATED = ("inclusion", "scratches")
_TRIES = 40


@dataclass(frozen=True, slots=True)
class Flaw:
    """A defect with its true place.

    `box` is the tight box of what can be seen, in mm. `contrast` is by how many grey levels the strongest tenth of its
    px differ at least from the steel around; negative where the flaw is the other way round than its kind usually is
    (a bright patch, a dark scratch). `drawn_px` is the canvas, rows and columns, that it was drawn on before its box
    was drawn tight.
    """

    label: str
    side: Side
    box: Box
    seed: int
    contrast: float
    drawn_px: tuple[int, int]


@lru_cache(maxsize=32)
def stamp(label: str, seed: int, drawn_px: tuple[int, int], mm_per_px: float) -> Grey:
    """The relief of a flaw, cut to what is visible: (rows, columns) int32, in 1/256 of its contrast; read-only."""
    rng = np.random.Generator(np.random.PCG64([seed, 4]))
    relief = SHAPES[label](rng, drawn_px, NEU_MM_PER_PX / mm_per_px)
    strong = np.sort(np.abs(relief[np.abs(relief) >= VISIBLE]))
    if strong.size:
        relief = np.clip(relief * 256 // int(strong[strong.size * 9 // 10]), -FULL, FULL)
    seen = np.abs(relief) >= VISIBLE
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if rows.size == 0:
        return np.zeros((0, 0), dtype=np.int32)
    tight = relief[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
    tight.flags.writeable = False
    return tight


def draw_size(rng: np.random.Generator, label: str, min_size_mm: float, max_size_mm: float) -> tuple[float, float]:
    """Length and width in mm to draw a flaw of this kind in."""
    span = max_size_mm - min_size_mm
    long = min_size_mm + span * between(rng, 0, 1) * between(rng, 0.4, 1)
    if label == "inclusion":
        return long, between(rng, 3.0, min(12.0, long / 2))
    if label == "scratches":
        thin, lie = between(rng, 2.0, min(15.0, long / 4)), rng.random()
        if lie < 0.7:
            return long, thin
        return (thin, long) if lie < 0.82 else (long, long * between(rng, 0.35, 0.9))
    return long, min_size_mm + span * between(rng, 0, 1) * between(rng, 0.4, 1)


def draw_flaw(
    seed: int,
    label: str,
    texture: Texture,
    *,
    side: Side = Side.TOP,
    mm_per_px: float = NEU_MM_PER_PX,
    min_size_mm: float = 20.0,
    max_size_mm: float = MAX_SIZE_MM,
) -> Flaw:
    """A flaw of this kind that stands out from the texture, with its box at the strip's head and edge (0, 0).

    Raises BadInput where `min_size_mm` is so few px that nothing of the kind can be seen.
    """
    rng = np.random.Generator(np.random.PCG64([seed, 3]))
    least = min_size_mm / mm_per_px
    for attempt in range(_TRIES):
        size = draw_size(rng, label, min_size_mm * (1 + 0.05 * attempt), max(max_size_mm, min_size_mm * 1.4))
        drawn_px = (max(3, round(size[0] / mm_per_px)), max(3, round(size[1] / mm_per_px)))
        shape_seed = int(rng.integers(0, 1 << 62))
        rows, columns = stamp(label, shape_seed, drawn_px, mm_per_px).shape
        if (max if label in _ELONGATED else min)(rows, columns) >= least:
            break
    else:
        raise BadInput(f"simulated flaw: expected a size that a {label} can be drawn in, got {min_size_mm} mm at least")
    box = Box(0.0, 0.0, rows * mm_per_px, columns * mm_per_px)
    return Flaw(label, side, box, shape_seed, draw_contrast(rng, label, texture), drawn_px)


def draw_contrast(rng: np.random.Generator, label: str, texture: Texture) -> float:
    """Grey levels by which a flaw stands out: three to nine times the texture's contrast where 0 to 255 has room."""
    strength = max(18.0, texture.contrast * between(rng, 3.0, 6.0)) * between(rng, 1.0, 1.6)
    reversed_ = rng.random() < {"patches": 0.2, "scratches": 0.12}.get(label, 0.0)
    bright = (label == "scratches") != reversed_
    room = 245.0 - texture.mean if bright else texture.mean - 12.0
    strength = min(strength, room)
    return -strength if reversed_ else strength
