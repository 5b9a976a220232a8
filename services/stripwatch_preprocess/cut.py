"""Tiles of a frame's strip, with their places on the strip."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stripwatch.domain.box import Box
from stripwatch.domain.frame import FrameHeader
from stripwatch.domain.recipe import Cutting
from stripwatch.pixels import Image
from stripwatch_preprocess.edges import Part


@dataclass(frozen=True, slots=True)
class Tile:
    """A (tile_px, tile_px) square, and the place of its strip; padding is no part of the place."""

    box: Box
    pixels: Image
    rows: int
    columns: int


def cut(image: Image, part: Part, header: FrameHeader, cutting: Cutting) -> list[Tile]:
    """Tiles that cover the strip's part of the image, row by row.

    The last tile of each row and column is aligned to the strip's edge. Where the strip is smaller than a tile, the
    tile is filled up by its mirror image (reflect 101).
    """
    size = cutting.tile_px
    return [
        _tile(image, Part(top, min(top + size, part.bottom), left, min(left + size, part.right)), header, size)
        for top in starts(part.top, part.bottom, size, cutting.stride_px)
        for left in starts(part.left, part.right, size, cutting.stride_px)
    ]


def starts(first: int, end: int, size: int, stride: int) -> list[int]:
    """Where tiles of `size` begin, one every `stride`, so that they cover `first` to `end` - 1 and do not leave it."""
    last = end - size
    if last <= first:
        return [first]
    return [*range(first, last, stride), last]


def area_mm2(part: Part | None, header: FrameHeader) -> int:
    """Whole mm² of a part of the frame."""
    return round(part.height * part.width * header.mm_per_px**2) if part else 0


def _tile(image: Image, part: Part, header: FrameHeader, size: int) -> Tile:
    scale = header.mm_per_px
    box = Box(header.x_mm + part.top * scale, header.y_mm + part.left * scale, part.height * scale, part.width * scale)
    pixels = image[part.top : part.bottom, part.left : part.right]
    if part.height < size or part.width < size:
        below, right = size - part.height, size - part.width
        padded = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REFLECT_101)
        pixels = np.asarray(padded, dtype=np.uint8)
    return Tile(box, pixels, part.height, part.width)
