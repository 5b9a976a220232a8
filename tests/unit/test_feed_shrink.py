"""Frames that are made coarser before they are sent give the tiles that fine ones would."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stripwatch.domain.frame import Encoding, Frame
from stripwatch.errors import BadInput
from stripwatch.feed.shrink import Shrink
from stripwatch.pixels import Image, resize
from unit.feeding import frame


def frame_of(image: Image, mm_per_px: float) -> Frame:
    height, width = image.shape
    header = replace(frame(0).header, height=height, width=width, mm_per_px=mm_per_px, encoding=Encoding.RAW)
    return Frame(header, image.tobytes())


def noise(height: int, width: int) -> Image:
    return np.random.default_rng(height).integers(0, 256, (height, width), dtype=np.uint8)


def test_tiles_of_a_coarse_frame_are_those_that_a_model_gets_of_the_fine_one() -> None:
    fine = noise(400, 600)
    frame = Shrink(1.5625)(frame_of(fine, mm_per_px=0.5))
    coarse = np.frombuffer(frame.pixels, np.uint8).reshape(frame.header.height, frame.header.width)
    assert (coarse.shape, frame.header.mm_per_px) == ((128, 192), 1.5625)
    for row in range(2):
        for column in range(3):
            tile = fine[row * 200 : (row + 1) * 200, column * 200 : (column + 1) * 200]
            assert np.array_equal(coarse[row * 64 : row * 64 + 64, column * 64 : column * 64 + 64], resize(tile, 64))


def test_sides_that_do_not_divide_end_at_the_nearest_pixel() -> None:
    frame = Shrink(1.5625)(frame_of(noise(128, 2048), mm_per_px=0.5))
    assert (frame.header.height, frame.header.width) == (41, 655)
    assert len(frame.pixels) == 41 * 655


def test_all_else_of_a_frame_stays() -> None:
    frame = frame_of(noise(200, 200), mm_per_px=0.5)
    small = Shrink(1.0)(frame).header
    assert replace(small, height=200, width=200, mm_per_px=0.5) == frame.header
    assert Shrink(0.5)(frame) == frame


@pytest.mark.parametrize("mm_per_px", [0.4, 0.5000001, 0.5 * 2**0.5])
def test_only_finer_pixels_at_a_ratio_of_small_whole_numbers_are_averaged(mm_per_px: float) -> None:
    with pytest.raises(BadInput, match=r"frames to shrink: expected pixels finer than .*, got 0.5 mm"):
        Shrink(mm_per_px)(frame_of(noise(64, 64), mm_per_px=0.5))


def test_compressed_frames_are_refused() -> None:
    frame = frame_of(noise(64, 64), mm_per_px=0.5)
    packed = replace(frame, header=replace(frame.header, encoding=Encoding.PNG))
    with pytest.raises(BadInput, match="expected raw ones, got png"):
        Shrink(1.0)(packed)
