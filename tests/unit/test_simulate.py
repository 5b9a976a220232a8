"""The simulated strip: the same pixels however it is cut, and a truth that holds."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from stripwatch.domain.camera import Side
from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.errors import BadInput
from stripwatch.simulate import StripPlan, clean_tile, flaw_tile, plan_strip, render, truth
from stripwatch.simulate.plan import APART_MM

DIGEST = """
import hashlib
from stripwatch.domain.camera import Side
from stripwatch.simulate import plan_strip, render
plan = plan_strip(11, length_mm=800.0, defects=3)
print(hashlib.sha256(render(plan, Side.TOP, 0, 1600, -10, 820).tobytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def plan() -> StripPlan:
    return plan_strip(5, length_mm=1500.0, defects=4)


@pytest.fixture(scope="module")
def whole(plan: StripPlan) -> np.ndarray:
    return render(plan, Side.TOP, -20, 3040, -40, 880)


@pytest.mark.parametrize(("height", "width"), [(200, 880), (131, 257), (3040, 97)])
def test_frames_show_the_same_pixels_as_the_whole_strip(
    plan: StripPlan, whole: np.ndarray, height: int, width: int
) -> None:
    for x in range(-20, 3020, height):
        for y in range(-40, 840, width):
            frame = render(plan, Side.TOP, x, height, y, width)
            part = whole[x + 20 : x + 20 + height, y + 40 : y + 40 + width]
            np.testing.assert_array_equal(frame[: part.shape[0], : part.shape[1]], part)


def test_a_seed_gives_the_same_pixels_in_another_process() -> None:
    here = render(plan_strip(11, length_mm=800.0, defects=3), Side.TOP, 0, 1600, -10, 820)
    there = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True, timeout=60)
    assert hashlib.sha256(here.tobytes()).hexdigest() == there.stdout.strip()


def test_a_seed_gives_the_pixels_it_always_gave() -> None:
    image = render(plan_strip(11, length_mm=800.0, defects=3), Side.TOP, 0, 1600, -10, 820)
    assert hashlib.sha256(image.tobytes()).hexdigest()[:16] == "c837fe73f8bc6256"


def test_another_seed_gives_another_strip() -> None:
    one, other = (render(plan_strip(seed, defects=0), Side.TOP, 0, 200, 0, 200) for seed in (1, 2))
    assert (one != other).mean() > 0.5


def test_the_two_sides_of_a_strip_differ(plan: StripPlan) -> None:
    clean = replace(plan, flaws=())
    top, bottom = (render(clean, side, 100, 200, 100, 200) for side in Side)
    assert (top != bottom).mean() > 0.5


@pytest.mark.parametrize("seed", range(12))
def test_flaws_lie_inside_the_strip_and_apart(seed: int) -> None:
    plan = plan_strip(seed, sides=tuple(Side), defects=6)
    assert len(truth(plan)) == 6
    for number, flaw in enumerate(truth(plan)):
        assert flaw.box.x_mm >= 0
        assert flaw.box.y_mm >= 0
        assert flaw.box.end_x_mm <= plan.length_mm
        assert flaw.box.end_y_mm <= plan.width_mm
        for other in plan.flaws[number + 1 :]:
            assert not flaw.box.touches(other.box, gap_mm=APART_MM - 1e-6)


@pytest.mark.parametrize("label", NEU_CLASSES)
def test_flaws_are_as_large_as_asked_for(label: str) -> None:
    for seed in range(8):
        (flaw,) = truth(plan_strip(seed, defects=1, labels=(label,), min_size_mm=25.0))
        sides = (flaw.box.length_mm, flaw.box.width_mm)
        assert (max if label in {"inclusion", "scratches"} else min)(sides) >= 25.0
        assert max(sides) <= 160.0


def test_a_strip_has_one_to_six_flaws_unless_told() -> None:
    assert {len(truth(plan_strip(seed))) for seed in range(40)} == {1, 2, 3, 4, 5, 6}


def test_a_clean_strip_has_no_flaws() -> None:
    assert truth(plan_strip(3, defects=0)) == ()


def test_flaws_change_pixels_inside_their_boxes_only(plan: StripPlan, whole: np.ndarray) -> None:
    clean = render(replace(plan, flaws=()), Side.TOP, -20, 3040, -40, 880)
    outside = np.ones(whole.shape, dtype=bool)
    for flaw in truth(plan):
        top, left = (round(at / plan.mm_per_px) for at in (flaw.box.x_mm + 10, flaw.box.y_mm + 20))
        rows, columns = (round(size / plan.mm_per_px) for size in (flaw.box.length_mm, flaw.box.width_mm))
        box = (slice(top, top + rows), slice(left, left + columns))
        changed = clean[box] != whole[box]
        outside[box] = False
        assert changed[0].any()
        assert changed[-1].any()
        assert changed[:, 0].any()
        assert changed[:, -1].any()
    np.testing.assert_array_equal(clean[outside], whole[outside])


def test_a_flaw_is_on_its_side_only() -> None:
    plan = plan_strip(8, length_mm=800.0, defects=2, sides=(Side.BOTTOM,))
    clean = replace(plan, flaws=())
    assert {flaw.side for flaw in truth(plan)} == {Side.BOTTOM}
    np.testing.assert_array_equal(render(plan, Side.TOP, 0, 1600, 0, 800), render(clean, Side.TOP, 0, 1600, 0, 800))
    assert (render(plan, Side.BOTTOM, 0, 1600, 0, 800) != render(clean, Side.BOTTOM, 0, 1600, 0, 800)).any()


@pytest.mark.parametrize("label", NEU_CLASSES)
def test_a_flaw_stands_out_from_the_steel_around_it(label: str) -> None:
    for seed in range(6):
        plan = plan_strip(seed, length_mm=600.0, defects=1, labels=(label,))
        flawed = render(plan, Side.TOP, 0, 1200, 0, 800).astype(int)
        clean = render(replace(plan, flaws=()), Side.TOP, 0, 1200, 0, 800).astype(int)
        change = np.abs(flawed - clean)
        strongest = change[change >= np.quantile(change[change > 0], 0.9)].mean()
        assert strongest >= 2.5 * plan.texture.contrast
        assert strongest >= 15


def test_beyond_the_strip_there_is_dark_background(plan: StripPlan, whole: np.ndarray) -> None:
    outside = np.ones(whole.shape, dtype=bool)
    outside[20 : 20 + plan.shape[0], 40 : 40 + plan.shape[1]] = False
    assert whole[outside].max() <= 10
    assert 3 < whole[outside].mean() < 5
    assert np.unique(whole[outside]).size > 3
    assert np.median(whole[~outside]) > 30


def test_steel_changes_less_along_the_strip_than_across_it() -> None:
    along, across = [], []
    for seed in range(12):
        steel = render(plan_strip(seed, defects=0), Side.TOP, 500, 600, 100, 600).astype(float)
        along.append(steel.mean(axis=1).std())
        across.append(steel.mean(axis=0).std())
    assert np.median(across) > 1.5 * np.median(along)


def test_healthy_steel_varies_from_coil_to_coil() -> None:
    tiles = [clean_tile(np.random.default_rng(seed)).astype(float) for seed in range(60)]
    means, contrasts = [tile.mean() for tile in tiles], [tile.std() for tile in tiles]
    assert min(means) < 90
    assert max(means) > 160
    assert min(contrasts) < 6
    assert 12 < max(contrasts) < 40


@pytest.mark.parametrize("label", NEU_CLASSES)
def test_a_training_tile_shows_at_least_the_part_of_the_flaw_asked_for(label: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        tile, visible = flaw_tile(rng, label, size=160, min_visible=0.6)
        assert tile.shape == (160, 160)
        assert tile.dtype == np.uint8
        assert 0.6 <= visible <= 1.0


def test_training_tiles_follow_from_the_generator_alone() -> None:
    one, other = (flaw_tile(np.random.default_rng(4), "crazing")[0] for _ in range(2))
    np.testing.assert_array_equal(one, other)
    one, other = (clean_tile(np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_strips_render_at_other_px_sizes() -> None:
    for mm_per_px in (0.25, 0.4, 1.0):
        plan = plan_strip(2, length_mm=700.0, mm_per_px=mm_per_px, defects=2)
        rows, columns = plan.shape
        assert render(plan, Side.TOP, 0, rows, 0, columns).shape == (round(700 / mm_per_px), round(400 / mm_per_px))


@pytest.mark.parametrize(
    "wrong",
    [
        {"length_mm": 0.0},
        {"width_mm": -1.0},
        {"mm_per_px": 0.0},
        {"defects": -1},
        {"defects": 500},
        {"sides": ()},
        {"labels": ("rust",)},
        {"labels": ()},
        {"width_mm": 20.0, "defects": 1},
    ],
)
def test_a_strip_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="expected"):
        plan_strip(1, **wrong)  # type: ignore[arg-type]


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(BadInput, match="seed"):
        plan_strip(-1)
