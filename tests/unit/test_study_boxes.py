"""Boxes of the study: how truth is read, how found boxes are counted, how a map becomes boxes, which are believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.errors import BadInput, NotFound

torch = pytest.importorskip("torch", reason="needs the train extra (torch)")

from stripwatch_train.study.box_match import hits, overlaps, rates, tally  # noqa: E402
from stripwatch_train.study.box_truth import read_truth  # noqa: E402
from stripwatch_train.study.box_ways import Sides, cell_maps, choose  # noqa: E402
from stripwatch_train.study.cells import MARGIN, SHRINK, SIDE, Moments, cells, drawn, judged  # noqa: E402
from stripwatch_train.study.chooser import Chooser, chosen  # noqa: E402
from stripwatch_train.study.outline import TRAITS, boxes_of, candidates  # noqa: E402


def _boxes(*corners: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(corners, dtype=np.float32).reshape(-1, 4)


def _annotation(folder: Path, name: str, things: str) -> None:
    (folder / f"{name}.xml").write_text(f"<annotation>{things}</annotation>")


def _thing(name: str, *corners: object) -> str:
    keys = ("xmin", "ymin", "xmax", "ymax")
    inner = "".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, corners, strict=True))
    return f"<object><name>{name}</name><bndbox>{inner}</bndbox></object>"


def test_a_box_in_the_file_counts_from_one_and_holds_its_last_pixel(tmp_path: Path) -> None:
    _annotation(tmp_path, "patches_1", _thing("patches", 1, 11, 200, 20) + _thing("inclusion", 3, 3, 4, 4))
    truth = read_truth(tmp_path, ["patches_1"])
    assert truth.boxes[0].tolist() == [[0, 10, 200, 20], [2, 2, 4, 4]]
    assert (truth.count, truth.misnamed) == (2, 1)


def test_a_file_that_is_missing_or_holds_no_box_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="boxes: no "):
        read_truth(tmp_path, ["crazing_1"])
    _annotation(tmp_path, "crazing_1", "")
    with pytest.raises(BadInput, match="expected at least one box, got none"):
        read_truth(tmp_path, ["crazing_1"])
    _annotation(tmp_path, "crazing_1", _thing("crazing", 1, "x", 3, 4))
    with pytest.raises(BadInput, match="expected four whole numbers"):
        read_truth(tmp_path, ["crazing_1"])


def test_neu_has_4189_boxes_and_all_lie_in_their_images(neu: Path) -> None:
    names = [f"{label}_{number}" for label in NEU_CLASSES for number in range(1, 301)]
    truth = read_truth(neu / "_annotations_voc", names)
    everything = np.concatenate(truth.boxes)
    assert truth.count == 4189
    assert everything.min() >= 0
    assert everything.max() <= 200
    assert (everything[:, 2:] > everything[:, :2]).all()


def test_a_true_box_is_found_once_and_the_second_finder_costs_precision() -> None:
    true, found = _boxes((0, 0, 100, 100)), _boxes((0, 0, 100, 100), (0, 0, 100, 90))
    assert hits(overlaps(found, true), 0.3) == 1
    got = rates(tally([found], [true]))
    assert (got["recall_iou30"], got["precision_iou30"], got["boxes_per_image"]) == (1.0, 0.5, 2.0)


def test_the_best_pair_is_matched_first() -> None:
    true = _boxes((0, 0, 100, 100), (100, 0, 200, 100))
    found = _boxes((0, 0, 150, 100), (0, 0, 100, 100))
    np.testing.assert_allclose(overlaps(found, true), [[2 / 3, 1 / 4], [1, 0]], rtol=1e-5)
    assert hits(overlaps(found, true), 0.2) == 2
    assert hits(overlaps(found, true), 0.3) == 1


def test_an_image_without_found_boxes_lowers_recall_only() -> None:
    true = _boxes((0, 0, 100, 100))
    got = rates(tally([true, _boxes()], [true, true]))
    assert (got["recall_iou30"], got["precision_iou30"], got["mean_best_iou"]) == (0.5, 1.0, 0.5)


def test_every_island_of_a_map_becomes_a_box_in_pixels_of_the_tile() -> None:
    where = np.zeros((20, 20), dtype=np.float32)
    where[2:6, 3:9] = 1
    where[12:18, 10:12] = 1
    true = _boxes((30, 20, 90, 60), (100, 120, 120, 180))
    table = overlaps(boxes_of(where, 0.5), true)
    assert table.shape == (2, 2)
    assert (table.max(0) > 0.9).all()
    assert overlaps(boxes_of(where, 0.5, side=400), 2 * true).max(0).min() > 0.9
    assert len(boxes_of(where, 1.5)) == 0
    with pytest.raises(BadInput, match="map: expected two dimensions, got shape"):
        boxes_of(where[None], 0.5)


def test_touching_boxes_are_one_island_unless_drawn_smaller() -> None:
    true = _boxes((0, 0, 100, 100), (100, 0, 200, 100))
    assert len(boxes_of(drawn(true, 0.0), 0.5)) == 1
    apart = boxes_of(drawn(true, SHRINK), 0.5, MARGIN)
    assert overlaps(apart, true).max(0).min() > 0.9


def test_candidates_hold_what_any_level_gives_and_each_box_once() -> None:
    where = np.full((20, 20), 0.3, dtype=np.float32)
    where[2:6, 3:9] = 0.9
    boxes, traits = candidates(where, (0.1, 0.2, 0.5))
    assert boxes[0].tolist() == [0, 0, 200, 200]
    assert traits.shape == (2, TRAITS)
    assert traits[:, 0].tolist() == [0.1, 0.5]
    assert traits[1, 7] > 0.75
    assert traits[1, 9] < 0.5
    assert candidates(where, (0.95,))[1].shape == (0, TRAITS)


def test_the_most_promising_box_is_kept_and_none_over_it() -> None:
    boxes = _boxes((0, 0, 100, 100), (0, 0, 90, 100), (120, 120, 180, 180), (150, 0, 200, 50))
    kept = chosen(boxes, np.array([0.5, 0.6, 0.4, 0.1]), 0.3)
    assert kept.tolist() == [boxes[1].tolist(), boxes[2].tolist()]
    assert len(chosen(_boxes(), np.zeros(0), 0.3)) == 0


def test_a_chooser_learns_that_a_trait_matters() -> None:
    rng = np.random.default_rng(0)
    traits = rng.normal(size=(2000, TRAITS))
    wanted = 0.4 + 0.1 * traits[:, 2] - 0.05 * traits[:, 3] * traits[:, 4]
    told = Chooser.fit(traits, wanted).expected(traits)
    assert np.corrcoef(told, wanted)[0, 1] > 0.99


def test_leaving_cells_out_is_the_same_as_not_having_seen_them() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(6, SIDE * SIDE, 5)).astype(np.float16)
    wanted = rng.random((6, SIDE * SIDE)).astype(np.float32)
    some, others = Moments.of(features[:4], wanted[:4]), Moments.of(features[4:], wanted[4:])
    np.testing.assert_allclose(((some + others) - others).head(), some.head(), rtol=1e-5)


def test_a_head_finds_the_cells_that_differ() -> None:
    wanted, features = _tiles(np.random.default_rng(2), 12)
    head = Moments.of(features, wanted.reshape(12, -1)).head()
    maps = judged(features, [head] * 12)
    assert maps[wanted > 0.9].mean() > maps[wanted < 0.1].mean() + 0.5


def test_cells_are_216_channels_and_three_windows_of_them() -> None:
    outputs = [torch.ones(2, count, side, side) for count, side in ((24, 40), (32, 20), (64, 10), (96, 10))]
    got = cells(outputs)
    assert got.shape == (2, 864, 20, 20)
    assert torch.allclose(got, torch.ones_like(got))


def test_boxes_are_found_on_tiles_that_trained_nothing() -> None:
    rng = np.random.default_rng(3)
    _, features = _tiles(rng, 60)
    true = [_true(number) for number in range(60)]
    wanted = np.stack([drawn(boxes, SHRINK) for boxes in true])
    labels = np.arange(60) % 2
    sides = Sides.of(np.arange(48), np.arange(48, 60), labels, labels, [str(number) for number in range(60)], 0)
    found, _ = choose(cell_maps(features, wanted, sides), true, sides, (0.2, 0.4, 0.6), MARGIN)
    got = rates(tally(found, [true[row] for row in sides.held]))
    assert got["recall_iou30"] > 0.9
    assert got["precision_iou30"] > 0.9


def _true(number: int) -> np.ndarray:
    left, top = 10.0 * (number % 7), 10.0 * (number % 5)
    return _boxes((left, top, left + 70, top + 60), (left + 80, top + 90, left + 130, top + 150))


def _tiles(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(count, SIDE, SIDE) where the defects are, and cells of which one feature shows it through noise."""
    wanted = np.stack([drawn(_true(number), 0.0) for number in range(count)])
    features = rng.normal(size=(count, SIDE * SIDE, 4))
    features[:, :, 1] = 4 * wanted.reshape(count, -1) + 0.3 * features[:, :, 1]
    return wanted, features.astype(np.float16)
