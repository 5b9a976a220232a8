"""Frames with coarser pixels, made before they are sent: what no model looks at need not travel."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import numpy as np

from stripwatch.domain.frame import Encoding, Frame
from stripwatch.errors import BadInput
from stripwatch.pixels import shrunk

_FINEST = 64
"""Pixels at most that are averaged as one block: 3.125 to one is 25 to 8."""


class Shrink:
    """Makes raw frames coarser by area averaging, to `mm_per_px` along and across.

    A tile of a coarse frame is what the same tile of the fine one would be shrunk to, where its sides fall between
    whole pixels; else it is of its grid moved by half a coarse pixel at most.
    """

    def __init__(self, mm_per_px: float) -> None:
        self._mm_per_px = mm_per_px

    def __call__(self, frame: Frame) -> Frame:
        """BadInput for compressed frames, and for pixels that are coarser already."""
        header = frame.header
        if header.encoding is not Encoding.RAW:
            raise BadInput(f"frames to shrink: expected raw ones, got {header.encoding.value}")
        ratio = _ratio(header.mm_per_px, self._mm_per_px)
        if ratio == 1:
            return frame
        fine = np.frombuffer(frame.pixels, dtype=np.uint8).reshape(header.height, header.width)
        coarse = shrunk(fine, ratio.numerator, ratio.denominator)
        height, width = coarse.shape
        return Frame(replace(header, height=height, width=width, mm_per_px=self._mm_per_px), coarse.tobytes())


@lru_cache(maxsize=64)  # the same for every frame of a camera
def _ratio(fine_mm: float, coarse_mm: float) -> Fraction:
    """How many fine pixels make how many coarse ones."""
    ratio = Fraction(coarse_mm / fine_mm).limit_denominator(_FINEST)
    if ratio < 1 or ratio.numerator > _FINEST or abs(ratio * fine_mm / coarse_mm - 1) > 1e-9:
        raise BadInput(
            f"frames to shrink: expected pixels finer than {coarse_mm:g} mm, at a ratio of whole numbers "
            f"up to {_FINEST}, got {fine_mm:g} mm"
        )
    return ratio
