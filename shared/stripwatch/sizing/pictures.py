"""Frames of simulated steel, drawn once and sent in turn: drawing each anew costs more than judging it."""

from __future__ import annotations

import numpy as np

from stripwatch.domain.camera import Side
from stripwatch.pixels import Image
from stripwatch.simulate import plan_strip, render


def draw_pictures(seed: int, *, height_px: int, width_px: int, mm_per_px: float, pictures: int, defects: int) -> Image:
    """(pictures, height, width) uint8: one strip from head to tail with so many flaws, its edges at the frame's."""
    plan = plan_strip(
        seed,
        length_mm=pictures * height_px * mm_per_px,
        width_mm=width_px * mm_per_px,
        mm_per_px=mm_per_px,
        defects=defects,
    )
    return np.stack([render(plan, Side.TOP, at * height_px, height_px, 0, width_px) for at in range(pictures)])
