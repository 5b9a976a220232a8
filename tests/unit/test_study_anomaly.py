"""The anomaly scorer: unusual in either direction, strays set aside, one graph; and what it is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from stripwatch.errors import BadInput  # noqa: E402  only where there is torch
from stripwatch_train import neighbours  # noqa: E402
from stripwatch_train.descriptor import statistics  # noqa: E402
from stripwatch_train.evaluate import auroc  # noqa: E402
from stripwatch_train.mobilenet import MobileNetV2  # noqa: E402
from stripwatch_train.neighbours import NeighboursNet, deviations, fit, logged, strays  # noqa: E402
from stripwatch_train.neu import Neu  # noqa: E402
from stripwatch_train.places import Places  # noqa: E402
from stripwatch_train.study.anomaly_stage import summary  # noqa: E402
from stripwatch_train.study.frozen import Frozen, columns  # noqa: E402
from stripwatch_train.study.magnetic import DEFECTS, HEALTHY, Magnetic  # noqa: E402
from stripwatch_train.study.patchwise import BANK, PatchBank, PatchGauss, PatchNet  # noqa: E402
from stripwatch_train.study.study import Study  # noqa: E402
from stripwatch_train.study.windows import SIZE, WindowNet, where  # noqa: E402

WIDTH = 432
BOTH = (True, False)


@pytest.fixture(scope="module")
def backbone() -> MobileNetV2:
    torch.manual_seed(0)
    return MobileNetV2().eval()


@pytest.fixture(scope="module")
def frozen(backbone: MobileNetV2) -> Frozen:
    return Frozen(backbone).eval()


def steel(count: int, seed: int = 0, shift: float = 0.0) -> Any:
    """(count, 432) descriptors: means about 0, deviations about 1, eight causes that move many of them together.

    `shift` moves all of them to one side, as one kind of defect does.
    """
    rng = np.random.default_rng(seed)
    causes = np.random.default_rng(99).normal(size=(8, WIDTH))
    out = 0.3 * rng.normal(size=(count, 8)) @ causes + 0.3 * rng.normal(size=(count, WIDTH)) + shift
    spread = deviations(WIDTH)
    out[:, spread] = np.exp(0.3 * out[:, spread])
    return out.astype(np.float32)


def scaled(descriptors: Any, factor: float) -> Any:
    """The same with all deviations times a factor: the contrast of a texture."""
    out = descriptors.copy()
    out[:, deviations(descriptors.shape[1])] *= factor
    return out


def tiles(count: int, side: int = SIZE, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, side, side), dtype=np.uint8)


def test_the_columns_of_deviations_are_those_of_the_descriptor_at_one_size_and_at_two() -> None:
    halves = [np.split(columns((stage,)), 2)[1] for stage in (3, 6, 10, 13)]
    assert np.array_equal(deviations(WIDTH), np.concatenate(halves))
    assert np.array_equal(deviations(2 * WIDTH), np.concatenate([deviations(WIDTH), np.concatenate(halves) + WIDTH]))


def test_half_the_contrast_is_as_far_as_twice_of_it() -> None:
    one = steel(20)
    up, down = logged(scaled(one, 2)) - logged(one), logged(one) - logged(scaled(one, 0.5))
    assert np.allclose(up, down, atol=1e-5)
    assert np.allclose(up[:, deviations(WIDTH)], np.log(2), atol=1e-5)
    assert not np.delete(up, deviations(WIDTH), axis=1).any()


@pytest.mark.parametrize("measures", [(True,), (False,), BOTH])
def test_half_the_contrast_scores_as_twice_of_it_among_steel_that_varies_alike_in_both_directions(
    measures: tuple[bool, ...],
) -> None:
    spread = deviations(WIDTH)
    one = steel(40)
    mirrored = -one
    mirrored[:, spread] = 1 / one[:, spread]
    healthy = fit(np.concatenate([one, mirrored]), measures=measures, trim=False)
    middle = np.zeros((1, WIDTH), dtype=np.float32)
    middle[:, spread] = 1
    weak, strong = healthy.scores(scaled(middle, 0.5)), healthy.scores(scaled(middle, 2))
    assert weak == pytest.approx(strong, rel=1e-3)
    assert weak > healthy.scores(middle) + 1


def test_healthy_steel_that_was_not_fitted_scores_about_nought_in_the_plain_measure() -> None:
    unseen = fit(steel(150), measures=(False,)).scores(steel(60, seed=1))
    assert abs(np.median(unseen)) < 1.5


@pytest.mark.parametrize("measures", [(True,), (False,), BOTH])
def test_what_differs_scores_higher_than_healthy_steel_that_was_not_fitted(measures: tuple[bool, ...]) -> None:
    healthy = fit(steel(150), measures=measures)
    assert auroc(healthy.scores(steel(60, seed=1)), healthy.scores(steel(60, seed=2, shift=1.0))) > 0.99


def test_the_larger_of_both_measures_counts() -> None:
    x = steel(30, seed=1)
    alone = [fit(steel(100), measures=(whitened,)).scores(x) for whitened in BOTH]
    assert np.allclose(fit(steel(100), measures=BOTH).scores(x), np.maximum(*alone), atol=1e-5)


@pytest.mark.parametrize("measures", [(True,), (False,), BOTH])
def test_the_net_gives_the_scores_over_their_limit(measures: tuple[bool, ...]) -> None:
    healthy, limit = fit(steel(80), measures=measures), 2.5
    x = np.concatenate([steel(20, seed=1), steel(10, seed=2, shift=1.0), scaled(steel(10, seed=3), 0.2), steel(80)[:5]])
    with torch.inference_mode():
        given = NeighboursNet(healthy, limit)(torch.from_numpy(x)).numpy()
    assert np.abs(given - healthy.scores(x) / limit).max() < 1e-4


def test_five_defects_of_one_kind_among_two_hundred_healthy_tiles_are_found() -> None:
    mixed = np.concatenate([steel(200), steel(5, seed=1, shift=1.5)])
    found = strays(logged(mixed))
    assert found[200:].all()
    assert found[:200].sum() <= 4
    assert fit(mixed).strays == found.sum()


def test_defects_among_the_healthy_tiles_hardly_lower_the_scores_of_their_kind_once_strays_are_set_aside() -> None:
    mixed, kind = np.concatenate([steel(200), steel(5, seed=1, shift=1.5)]), steel(20, seed=2, shift=1.5)
    clean = fit(steel(200)).scores(kind)
    trimmed, kept = fit(mixed).scores(kind), fit(mixed, trim=False).scores(kind)
    assert np.abs(trimmed / clean - 1).max() < 0.1
    assert np.median(kept) < 0.7 * np.median(clean)


def test_too_few_examples_are_refused_with_what_was_expected_and_what_came() -> None:
    with pytest.raises(BadInput, match="expected at least 8, got 7"):
        fit(steel(7))
    assert np.isfinite(fit(steel(8)).scores(steel(4, seed=1))).all()


def test_too_few_examples_that_are_alike_are_refused_too() -> None:
    """Few were left beside the strays, and NumPy complained that half of them have no third nearest."""
    x = steel(8)
    x[:5] = x[0] + 0.001 * (steel(5, seed=1) - x[0])
    x[5:] += 3 * np.arange(1, 4, dtype=np.float32)[:, None]
    assert 3 <= strays(logged(x)).sum() < 8
    with pytest.raises(BadInput, match="alike"):
        fit(x)


def test_a_summary_has_means_the_worst_seed_and_the_interval_of_the_first() -> None:
    told = summary([(0.9, {"a": 0.8, "b": 1.0}, (0.85, 0.95)), (0.7, {"a": 0.6, "b": 0.8}, (0.65, 0.75))])
    assert told == {
        "overall": {"mean": 0.8, "worst": 0.7, "seeds": [0.9, 0.7]},
        "per_class": {"a": 0.7, "b": 0.9},
        "interval": [0.85, 0.95],
    }


def test_a_tile_has_256_patches_of_96_numbers_and_each_knows_its_neighbours(frozen: Frozen) -> None:
    with torch.inference_mode():
        patches = PatchNet(frozen)(torch.from_numpy(tiles(2)))
        fine = frozen.maps(torch.from_numpy(tiles(2)))[1]
    assert patches.shape == (2, 256, 96)
    centre = patches.reshape(2, 16, 16, 96)[:, 5, 7, :32]
    assert torch.allclose(centre, fine[:, :, 4:7, 6:9].mean((2, 3)), atol=1e-5)


def test_a_tile_is_as_far_as_its_strangest_patch_from_the_nearest_healthy_one() -> None:
    rng = np.random.default_rng(0)
    healthy, x = (rng.normal(size=(count, 9, 6)).astype(np.float32) for count in (10, 4))
    flat = healthy.reshape(-1, 6)
    expected = [max(np.linalg.norm(flat - patch, axis=1).min() for patch in tile) for tile in x]
    bank = PatchBank.fit(healthy, seed=0)
    assert np.allclose(bank.scores(x), expected, atol=1e-3)
    assert (bank.scores(healthy) < 2e-3).all()


def test_a_bank_keeps_no_more_than_its_size_and_draws_the_same_from_its_seed() -> None:
    healthy = np.random.default_rng(0).normal(size=(30, 100, 3)).astype(np.float32)
    bank = PatchBank.fit(healthy, seed=1)
    assert bank.patches.shape == (BANK, 3)
    assert np.array_equal(bank.patches, PatchBank.fit(healthy, seed=1).patches)
    assert not np.array_equal(bank.patches, PatchBank.fit(healthy, seed=2).patches)


def test_the_patch_gaussian_measures_in_deviations_of_correlated_patches() -> None:
    rng = np.random.default_rng(0)
    mixing = np.array([[2.0, 0.0], [1.9, 0.3]])
    healthy = (rng.normal(size=(200, 25, 2)) @ mixing.T).astype(np.float32)
    along, against = (np.array([[[2.0, sign * 1.9]]], dtype=np.float32) for sign in (1, -1))
    gauss = PatchGauss.fit(healthy)
    assert gauss.scores(along)[0] == pytest.approx(1, abs=0.1)
    assert gauss.scores(against)[0] > 8
    assert gauss.scores(np.concatenate([along, against], axis=1))[0] == gauss.scores(against)[0]


def test_a_window_has_the_statistics_of_its_part_of_each_stage(frozen: Frozen) -> None:
    x = torch.from_numpy(tiles(2))
    with torch.inference_mode():
        windows, maps = WindowNet(frozen)(x), frozen.maps(x)
    assert windows.shape == (2, 49, WIDTH)
    row, column = 2, 5
    parts = []
    for output in maps:
        cell = output.shape[-1] // 8
        parts.append(output[:, :, row * cell : (row + 2) * cell, column * cell : (column + 2) * cell])
    expected = torch.cat([statistics(part) for part in parts], 1)
    assert torch.allclose(windows[:, row * 7 + column], expected, atol=1e-3)


def test_the_map_is_hottest_where_a_strange_patch_is(backbone: MobileNetV2, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(100, 140, (SIZE, SIZE), dtype=np.uint8) for _ in range(20 + len(DEFECTS))]
    masks: list[Any] = [None] * len(images)
    for number in range(len(DEFECTS)):
        place = (slice(8 + 16 * number, 48 + 16 * number), slice(72 - 16 * number, 112 - 16 * number))
        images[20 + number][place] = np.where(np.indices((40, 40)).sum(0) % 8 < 4, 20, 240)
        masks[20 + number] = np.zeros((SIZE, SIZE), dtype=np.uint8)
        masks[20 + number][place] = 255
    magnetic = Magnetic(tuple(images), np.array([HEALTHY] * 20 + list(DEFECTS)), tuple(masks))
    (tmp_path / "neu").mkdir()
    places = Places(tmp_path, tmp_path)
    nothing = Neu(places, (), np.zeros((0, 200, 200), np.uint8), np.zeros(0, np.int64), (), "0" * 64)
    told = where(Study(places, nothing, backbone), magnetic)
    assert (told["windows"], told["window_px"]) == (49, 32)
    assert told["hottest_pixel_on_defect"] == dict.fromkeys(DEFECTS, 1.0)
    assert min(told["pixel_auroc"].values()) > 0.9
    assert told["hottest_window_auroc"] == 1.0


def test_whitening_makes_correlated_numbers_count_once() -> None:
    x = logged(steel(400))
    mean, turn = neighbours.turned(x, whitened=True)
    covariance = np.cov((x - mean) @ turn, rowvar=False)
    plain = np.cov((x - mean) @ neighbours.turned(x, whitened=False)[1], rowvar=False)
    assert np.allclose(np.diag(plain), 1, atol=0.02)
    assert np.linalg.eigvalsh(covariance)[-1] < 0.1 * np.linalg.eigvalsh(plain)[-1]
