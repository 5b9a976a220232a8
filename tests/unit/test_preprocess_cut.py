"""Where the strip is, and how it is cut into tiles."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess_cases import header_of, strip_image
from stripwatch.cutting import Part, find_strip, starts
from stripwatch.domain.recipe import Cutting
from stripwatch_preprocess.cut import area_mm2, cut

BACKGROUND = 24
RNG = np.random.default_rng(5)


def scene(
    part: Part | None, shape: tuple[int, int] = (200, 880), grey: float = 120, dark: float = 8, noise: float = 4
) -> np.ndarray:
    image = RNG.normal(dark, noise, shape)
    if part is not None:
        image[part.top : part.bottom, part.left : part.right] = RNG.normal(grey, 15, (part.height, part.width))
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "part",
    [
        Part(0, 200, 0, 880),
        Part(0, 200, 40, 840),
        Part(0, 200, 1, 879),
        Part(37, 200, 40, 840),
        Part(0, 150, 40, 840),
        Part(192, 200, 0, 880),
        Part(0, 9, 300, 880),
        Part(0, 200, 700, 760),
        Part(100, 140, 400, 420),
    ],
)
@pytest.mark.parametrize("noise", [0, 4, 8])
def test_the_strip_is_found_to_the_pixel(part: Part, noise: float) -> None:
    assert find_strip(scene(part, noise=noise), BACKGROUND) == part


@pytest.mark.parametrize("noise", [0, 4, 8, 10])
def test_a_frame_of_background_holds_no_strip(noise: float) -> None:
    assert find_strip(scene(None, noise=noise), BACKGROUND) is None


def test_bright_specks_beside_the_strip_are_not_strip() -> None:
    image = scene(Part(0, 200, 100, 800))
    for row, column in [(20, 10), (90, 50), (150, 860), (40, 92)]:
        image[row : row + 6, column : column + 6] = 255
    assert find_strip(image, BACKGROUND) == Part(0, 200, 100, 800)
    image[:, 100:800] = 8
    assert find_strip(image, BACKGROUND) is None


def test_dark_steel_is_not_background() -> None:
    part = Part(0, 200, 40, 840)
    assert find_strip(scene(part, grey=40), BACKGROUND) == part


def test_a_dark_defect_inside_or_along_the_edge_does_not_move_the_edge() -> None:
    part = Part(0, 200, 40, 840)
    image = scene(part)
    image[60:140, 300:500] = 5
    image[30:180, 40:140] = 12
    assert find_strip(image, BACKGROUND) == part


def test_real_steel_is_hardly_ever_taken_for_background(neu: Path) -> None:
    files = sorted(neu.rglob("*.jpg"))[::5]
    whole = Part(0, 200, 0, 200)
    found = [find_strip(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), BACKGROUND) for file in files]
    assert sum(part != whole for part in found) <= len(files) // 100
    assert all(part is not None and part.height > 180 and part.width > 180 for part in found)


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    grey=st.integers(0, 255),
    background=st.integers(0, 254),
)
def test_an_even_image_is_all_strip_or_none(shape: tuple[int, int], grey: int, background: int) -> None:
    found = find_strip(np.full(shape, grey, dtype=np.uint8), background)
    assert found == (Part(0, shape[0], 0, shape[1]) if grey > background else None)


@st.composite
def parts(draw: st.DrawFn) -> tuple[tuple[int, int], Part]:
    height, width = draw(st.integers(1, 150)), draw(st.integers(1, 150))
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    part = Part(top, draw(st.integers(top + 1, height)), left, draw(st.integers(left + 1, width)))
    return (height, width), part


@settings(max_examples=200)
@given(case=parts(), size=st.integers(16, 60), data=st.data())
def test_every_pixel_of_strip_is_in_a_tile_and_every_tile_on_strip(
    case: tuple[tuple[int, int], Part], size: int, data: st.DataObject
) -> None:
    shape, part = case
    cutting = Cutting(size, data.draw(st.integers(8, size)), BACKGROUND)
    image = np.arange(shape[0] * shape[1]).reshape(shape).astype(np.uint8)
    header = header_of(image)
    tiles = cut(image, part, header, cutting)
    seen = np.zeros(shape, dtype=bool)
    for tile in tiles:
        top, left = round(tile.box.x_mm / 0.5), round(tile.box.y_mm / 0.5)
        rows, columns = round(tile.box.length_mm / 0.5), round(tile.box.width_mm / 0.5)
        assert (rows, columns) == (tile.rows, tile.columns)
        assert tile.pixels.shape == (size, size)
        assert np.array_equal(tile.pixels[:rows, :columns], image[top : top + rows, left : left + columns])
        seen[top : top + rows, left : left + columns] = True
    expected = np.zeros(shape, dtype=bool)
    expected[part.top : part.bottom, part.left : part.right] = True
    assert np.array_equal(seen, expected)
    assert len({(tile.box.x_mm, tile.box.y_mm) for tile in tiles}) == len(tiles)


def test_the_last_tile_is_aligned_to_the_edge() -> None:
    assert starts(40, 840, 200, 200) == [40, 240, 440, 640]
    assert starts(0, 880, 200, 200) == [0, 200, 400, 600, 680]
    assert starts(0, 300, 200, 100) == [0, 100]
    assert starts(10, 60, 200, 200) == [10]


def test_strip_smaller_than_a_tile_is_filled_up_by_its_mirror_image() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4) + 100
    (tile,) = cut(image, Part(0, 3, 0, 4), header_of(image), Cutting(16, 16, BACKGROUND))
    assert tile.pixels[0, :7].tolist() == [100, 101, 102, 103, 102, 101, 100]
    assert tile.pixels[:5, 0].tolist() == [100, 104, 108, 104, 100]
    assert (tile.box.length_mm, tile.box.width_mm) == (1.5, 2.0)


def test_boxes_are_on_the_strip_in_mm() -> None:
    image = strip_image(shape=(40, 80))
    header = header_of(image, index=3)
    boxes = [tile.box for tile in cut(image, Part(0, 40, 0, 80), header, Cutting(40, 40, BACKGROUND))]
    assert [(box.x_mm, box.y_mm, box.length_mm, box.width_mm) for box in boxes] == [(60, 0, 20, 20), (60, 20, 20, 20)]
    assert area_mm2(Part(0, 40, 0, 80), header) == 800
    assert area_mm2(None, header) == 0
