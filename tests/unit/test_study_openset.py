"""What is unlike everything known: by doubt, by distance, and by both."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch_train.evaluate import auroc
from stripwatch_train.study import openset
from stripwatch_train.study.novelty import Known, Rule
from stripwatch_train.study.plots import Plots

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "openset.json"
CENTRES = np.array([[8.0, 0, 0, 0], [0, 8, 0, 0], [0, 0, 8, 0]])


def around(centre: np.ndarray, seed: int = 0) -> np.ndarray:
    return (centre + np.random.default_rng(seed).normal(size=(200, 4))).astype(np.float32)


def kinds(seed: int) -> np.ndarray:
    return np.concatenate([around(centre, 10 * seed + number) for number, centre in enumerate(CENTRES)])


@pytest.fixture(scope="module")
def known() -> Known:
    return Known.fit(kinds(1), np.repeat([0, 1, 4], 200))


@pytest.fixture(scope="module")
def seen() -> np.ndarray:
    return kinds(2)


BETWEEN, ASIDE, BEYOND = (np.array(place) for place in ([4.0, 4, 0, 0], [0, 0, 0, 12.0], [40.0, 0, 0, 0]))


def area(known: Known, score: str, seen: np.ndarray, unknown: np.ndarray) -> float:
    return auroc(*(known.scores(x)[score].astype(np.float32) for x in (seen, unknown)))


def test_the_classifier_doubts_between_classes_and_is_sure_far_beyond_one(known: Known, seen: np.ndarray) -> None:
    assert area(known, "softmax", seen, around(BETWEEN)) > 0.98
    assert area(known, "softmax", seen, around(BEYOND)) < 0.2


@pytest.mark.parametrize("score", ["mahalanobis", "neighbours"])
def test_distance_sees_what_lies_outside_the_clouds(known: Known, seen: np.ndarray, score: str) -> None:
    assert area(known, score, seen, around(ASIDE)) > 0.98


def test_the_sum_catches_what_lies_between_classes_and_what_lies_aside_of_all(known: Known, seen: np.ndarray) -> None:
    rule = Rule.fit(known.scores(kinds(3)))
    inside = rule.scores(known.scores(seen))["sum"].astype(np.float32)
    for unknown in (BETWEEN, ASIDE):
        assert auroc(inside, rule.scores(known.scores(around(unknown)))["sum"].astype(np.float32)) > 0.98


def test_both_asks_for_doubt_and_distance_at_once(known: Known, seen: np.ndarray) -> None:
    rule = Rule.fit(known.scores(seen))
    found = rule.scores(known.scores(around(BEYOND)))
    assert (found["both"] <= found["sum"] / 2 + 1e-9).all()
    assert np.median(found["both"]) < 0  # far off, but without doubt: the recipe's rule calls it by its class


def test_a_class_left_out_is_compared_over_all_seeds_and_told(tmp_path: Path) -> None:
    figures = json.loads(RESULTS.read_text(encoding="utf-8"))
    text = openset.STAGE.tell(figures, Plots(tmp_path / "paper.md"))
    found = figures["openset"]
    for name in openset.NAMES:
        assert {len(found["auroc_by_seed"][name][label]) for label in NEU_CLASSES} == {len(found["seeds"])}
        assert f"{found['auroc_mean'][name]:.4f}" in text
    assert (tmp_path / "figures" / "openset.png").is_file()
