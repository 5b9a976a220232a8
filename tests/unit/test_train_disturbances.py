"""Disturbances: each does what its name says, in eight bits, and the same again from the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from stripwatch.pixels import Image
from stripwatch.simulate import flaw_tile
from stripwatch_train.disturbances import CONDITIONS, disturbed
from stripwatch_train.rough import roughened

DRAWN = ("noise 30 dB", "noise 20 dB", "degraded")
"""Conditions that draw; the others do the same to every image."""


@pytest.fixture(scope="module")
def tiles() -> Image:
    labels = ("scratches", "patches", "crazing")
    return np.stack([flaw_tile(np.random.default_rng(seed), label)[0] for seed, label in enumerate(labels)])


def plain(seed: int, low: int = 90, high: int = 160, side: int = 200) -> Image:
    """A texture that no disturbance drives to black or white."""
    return np.random.default_rng(seed).integers(low, high, (1, side, side), dtype=np.uint8)


def across(image: Image) -> float:
    """Mean step from a pixel to the one on its right."""
    return float(np.abs(np.diff(image.astype(float), axis=-1)).mean())


def down(image: Image) -> float:
    """Mean step from a pixel to the one below."""
    return float(np.abs(np.diff(image.astype(float), axis=-2)).mean())


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_keeps_shape_and_type_and_repeats_from_its_seed(tiles: Image, condition: str) -> None:
    before = tiles.copy()
    once = disturbed(tiles, condition)
    assert once.shape == tiles.shape
    assert once.dtype == np.uint8
    assert np.array_equal(disturbed(tiles, condition), once)
    assert np.array_equal(tiles, before)
    assert all((a != b).any() for a, b in zip(once, tiles, strict=True))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_first_images_alone_are_disturbed_as_in_the_whole_stack(tiles: Image, condition: str) -> None:
    assert np.array_equal(disturbed(tiles[:2], condition), disturbed(tiles, condition)[:2])


@pytest.mark.parametrize("condition", CONDITIONS)
def test_an_image_that_has_moved_is_disturbed_otherwise_only_where_the_condition_draws(
    tiles: Image, condition: str
) -> None:
    same = np.array_equal(disturbed(tiles[1:], condition), disturbed(tiles, condition)[1:])
    assert same == (condition not in DRAWN)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_another_seed_disturbs_otherwise_only_where_the_condition_draws(tiles: Image, condition: str) -> None:
    same = np.array_equal(disturbed(tiles, condition, seed=1), disturbed(tiles, condition))
    assert same == (condition not in DRAWN)


@pytest.mark.parametrize("decibels", [20, 30])
def test_noise_has_the_ratio_to_the_signal_that_its_name_says(decibels: int) -> None:
    image = plain(0)
    difference = disturbed(image, f"noise {decibels} dB").astype(float) - image
    ratio = 10 * np.log10((image.astype(float) ** 2).mean() / (difference**2).mean())
    assert ratio == pytest.approx(decibels, abs=0.5)


def test_motion_keeps_lines_along_the_strip_and_smears_those_across_it() -> None:
    stripes = np.tile(np.where(np.arange(200) % 8 < 4, 60, 180).astype(np.uint8), (1, 200, 1))
    assert np.array_equal(disturbed(stripes, "motion 9 px"), stripes)
    lying = np.ascontiguousarray(stripes.transpose(0, 2, 1))
    assert down(disturbed(lying, "motion 9 px")) < 0.2 * down(lying)


def test_motion_spreads_a_point_over_nine_pixels_along_the_strip() -> None:
    point = np.zeros((1, 41, 41), dtype=np.uint8)
    point[0, 20, 20] = 255
    smeared = disturbed(point, "motion 9 px")[0]
    assert np.array_equal(np.argwhere(smeared), [[row, 20] for row in range(16, 25)])
    assert (smeared[16:25, 20] == round(255 / 9)).all()


def test_defocus_smooths_alike_in_both_directions() -> None:
    image = plain(1)
    blurred = disturbed(image, "defocus 1.5 px")
    assert across(blurred) < 0.3 * across(image)
    assert across(blurred) == pytest.approx(down(blurred), rel=0.1)
    assert blurred.mean() == pytest.approx(image.mean(), abs=1)


def test_exposure_scales_all_grey_values_and_cuts_off_at_white() -> None:
    ramp = np.tile(np.arange(0, 250, 5, dtype=np.uint8), (1, 50, 1))
    assert np.array_equal(disturbed(ramp, "exposure -40 %"), np.rint(ramp * 0.6))
    assert np.array_equal(disturbed(ramp, "exposure +40 %"), np.minimum(np.rint(ramp * 1.4), 255))


def test_jpeg_changes_a_smooth_image_little_and_loses_what_is_fine() -> None:
    smooth = np.tile(np.linspace(40, 200, 64).astype(np.uint8), (1, 64, 1))
    assert np.abs(disturbed(smooth, "JPEG quality 30").astype(int) - smooth).max() < 12
    fine = plain(2, side=64)
    assert np.abs(disturbed(fine, "JPEG quality 30").astype(int) - fine).mean() > 5


def test_degraded_light_falls_off_from_one_side_to_the_other() -> None:
    even = np.full((8, 200, 200), 120, dtype=np.uint8)
    for image in disturbed(even, "degraded").astype(float):
        quarters = [half.mean() for rows in np.split(image, 2) for half in np.split(rows, 2, axis=1)]
        assert max(quarters) - min(quarters) > 20
        assert image.mean() == pytest.approx(120, abs=3)


def test_a_rough_view_repeats_from_its_generator_and_leaves_its_tile_alone(tiles: Image) -> None:
    before = tiles.copy()
    first = [roughened(tiles[0], np.random.default_rng(seed)) for seed in range(30)]
    again = [roughened(tiles[0], np.random.default_rng(seed)) for seed in range(30)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(view.shape == (200, 200) and view.dtype == np.uint8 for view in first)
    assert len({view.tobytes() for view in first}) == 30
    assert np.array_equal(tiles, before)


def test_a_generator_goes_on_from_view_to_view(tiles: Image) -> None:
    rng = np.random.default_rng(0)
    views = [roughened(tiles[0], rng) for _ in range(5)]
    assert len({view.tobytes() for view in views}) == 5
