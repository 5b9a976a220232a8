"""From a frame's bytes to what the models take: decode, find the strip, cut, resize, normalise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stripwatch.cutting import find_strip
from stripwatch.domain.frame import FrameHeader
from stripwatch.domain.model import InputSpec
from stripwatch.domain.recipe import Role
from stripwatch.errors import BadInput
from stripwatch.pixels import model_input
from stripwatch.ports import Tiles
from stripwatch_preprocess.cut import Tile, area_mm2, cut
from stripwatch_preprocess.decode import decode
from stripwatch_preprocess.plan import Plan

_MOST_INPUT_BYTES = 2 << 30
"""A frame of 64 million pixels in tiles of 16 px, each as a model's 1024 px, would be a terabyte."""


@dataclass(frozen=True, slots=True)
class CutFrame:
    """A frame as its models see it: for each role (N, channels, size, size) of its N tiles."""

    header: FrameHeader
    plan: Plan
    tiles: tuple[Tile, ...]
    inputs: Mapping[Role, Tiles]
    strip_mm2: int


def transform(header: FrameHeader, pixels: bytes, plan: Plan) -> CutFrame:
    """The frame cut into tiles; none where it shows only background. FrameUndecodable, BadInput for too many tiles."""
    cutting = plan.recipe.cutting
    image = decode(header, pixels)  # (H, W) uint8
    part = find_strip(image, cutting.background)
    tiles = tuple(cut(image, part, header, cutting)) if part else ()
    made: dict[InputSpec, Tiles] = {}
    inputs: dict[Role, Tiles] = {}
    for role in plan.specs if tiles else ():
        spec = plan.input(role)
        if spec not in made:
            _check_size(len(tiles), spec)
            made[spec] = model_input([tile.pixels for tile in tiles], spec)
        inputs[role] = made[spec]
    return CutFrame(header, plan, tiles, inputs, area_mm2(part, header))


def _check_size(tiles: int, spec: InputSpec) -> None:
    needed = tiles * spec.channels * spec.size**2 * (1 if spec.dtype == "uint8" else 4)
    if needed > _MOST_INPUT_BYTES:
        raise BadInput(
            f"frame: expected at most {_MOST_INPUT_BYTES} bytes of model input, "
            f"{tiles} tiles of {spec.channels} x {spec.size} x {spec.size} {spec.dtype} need {needed}"
        )
