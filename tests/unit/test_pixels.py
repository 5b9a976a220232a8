"""What is done to pixels: shrinking by a matrix is area averaging as OpenCV does it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stripwatch.domain.model import Clahe, InputSpec
from stripwatch.pixels import Image, averaged, equalise, model_input, resize


def noise(count: int, side: int) -> list[Image]:
    drawn = np.random.default_rng(side).integers(0, 256, (count, side, side), dtype=np.uint8)
    return list(drawn)


@pytest.mark.parametrize(
    ("side", "size"), [(200, 64), (200, 160), (200, 96), (200, 150), (128, 48), (40, 16), (225, 200)]
)
def test_averaging_by_blocks_gives_the_greys_of_area_averaging(side: int, size: int) -> None:
    tiles = noise(20, side)
    alone = [cv2.resize(tile, (size, size), interpolation=cv2.INTER_AREA) for tile in tiles]
    assert np.array_equal(averaged(tiles, size), np.stack(alone))


@pytest.mark.parametrize("size", [64, 160, 224, 100, 199, 200])
def test_a_model_gets_each_tile_as_if_it_came_alone(size: int) -> None:
    tiles = noise(5, 200)
    batch = model_input(tiles, InputSpec(size, 1, "uint8"))
    assert batch.shape == (5, 1, size, size)
    assert np.array_equal(batch[:, 0], np.stack([resize(tile, size) for tile in tiles]))


def test_tiles_of_several_sizes_share_a_batch() -> None:
    tiles = [*noise(2, 200), *noise(2, 128)]
    batch = model_input(tiles, InputSpec(64, 1, "uint8"))
    assert np.array_equal(batch[:, 0], np.stack([resize(tile, 64) for tile in tiles]))


def test_contrast_is_equalised_after_the_tile_has_its_size() -> None:
    tiles, clahe = noise(3, 200), Clahe(2.0, 8)
    batch = model_input(tiles, InputSpec(64, 1, "uint8", clahe=clahe))
    assert np.array_equal(batch[:, 0], np.stack([equalise(resize(tile, 64), clahe) for tile in tiles]))
