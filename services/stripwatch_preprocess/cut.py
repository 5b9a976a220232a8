"""Tiles of a frame's strip, with their places on the strip."""

from __future__ import annotations

from dataclasses import dataclass

from stripwatch.cutting import Part, filled, squares
from stripwatch.domain.box import Box
from stripwatch.domain.frame import FrameHeader
from stripwatch.domain.recipe import Cutting
from stripwatch.domain.result import MAX_TILES
from stripwatch.errors import BadInput
from stripwatch.pixels import Image


@dataclass(frozen=True, slots=True)
class Tile:
    """A (tile_px, tile_px) square, and the place of its strip; padding is no part of the place."""

    box: Box
    pixels: Image
    rows: int
    columns: int


def cut(image: Image, part: Part, header: FrameHeader, cutting: Cutting) -> list[Tile]:
    """Tiles that cover the strip's part of the image, row by row."""
    places = list(squares(part, cutting))
    if len(places) > MAX_TILES:
        raise BadInput(f"frame: expected at most {MAX_TILES} tiles, the recipe's tile and stride give {len(places)}")
    return [_tile(image, square, header, cutting.tile_px) for square in places]


def area_mm2(part: Part | None, header: FrameHeader) -> int:
    """Whole mm² of a part of the frame."""
    return round(part.height * part.width * header.mm_per_px**2) if part else 0


def _tile(image: Image, part: Part, header: FrameHeader, size: int) -> Tile:
    scale = header.mm_per_px
    box = Box(header.x_mm + part.top * scale, header.y_mm + part.left * scale, part.height * scale, part.width * scale)
    return Tile(box, filled(image, part, size), part.height, part.width)
