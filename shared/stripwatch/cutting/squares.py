"""The squares that cover a strip's part of a frame."""

from __future__ import annotations

import cv2
import numpy as np

from stripwatch.cutting.edges import Part
from stripwatch.domain.recipe import Cutting
from stripwatch.pixels import Image


def squares(part: Part, cutting: Cutting) -> list[Part]:
    """Parts of at most tile_px x tile_px that cover the strip's part, row by row.

    The last of each row and column is aligned to the strip's edge.
    """
    size = cutting.tile_px
    return [
        Part(top, min(top + size, part.bottom), left, min(left + size, part.right))
        for top in starts(part.top, part.bottom, size, cutting.stride_px)
        for left in starts(part.left, part.right, size, cutting.stride_px)
    ]


def starts(first: int, end: int, size: int, stride: int) -> list[int]:
    """Where tiles of `size` begin, one every `stride`, so that they cover `first` to `end` - 1 and do not leave it."""
    last = end - size
    if last <= first:
        return [first]
    return [*range(first, last, stride), last]


def filled(image: Image, part: Part, size: int) -> Image:
    """The part's pixels, (size, size): where the strip is smaller, filled up by its mirror image (reflect 101)."""
    pixels = image[part.top : part.bottom, part.left : part.right]
    if part.height < size or part.width < size:
        below, right = size - part.height, size - part.width
        padded = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REFLECT_101)
        pixels = np.asarray(padded, dtype=np.uint8)
    return pixels
