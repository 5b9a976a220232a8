"""Classes from a few crops: prototypes, labels that spread, and what the page says of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from stripwatch_train.split import grouped
from stripwatch_train.study import fewshot
from stripwatch_train.study.plots import Plots
from stripwatch_train.study.prototypes import by_angle, by_distance, whitened, within
from stripwatch_train.study.shots import SHOTS, drawn
from stripwatch_train.study.spreading import Head, graph

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "fewshot.json"


def clouds(count: int = 40, apart: float = 6.0, size: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Three round clouds, one after the other."""
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(3), count)
    return (rng.normal(size=(3 * count, size)) + apart * np.eye(3, size)[labels]).astype(np.float32), labels


def test_the_nearest_prototype_by_angle_and_by_distance_is_that_of_the_cloud() -> None:
    x, labels = clouds()
    rows = np.arange(len(x))
    support = [np.flatnonzero(labels == label)[:5] for label in range(3)]
    centred = whitened(x, x, 0)
    assert (by_angle(centred, rows, support) == labels).mean() > 0.9
    assert (by_distance(x, rows, support) == labels).mean() > 0.97


def test_a_class_of_one_crop_is_not_lost_beside_classes_of_many() -> None:
    x, labels = clouds(200, apart=8.0, size=200)
    rows = np.flatnonzero(labels == 2)[1:]
    support = [np.flatnonzero(labels == label) for label in range(2)] + [np.flatnonzero(labels == 2)[:1]]
    means = np.stack([x[one].mean(0) for one in support])
    plain = ((x[rows][:, None] - means) ** 2).sum(2).argmin(1)
    assert (plain == 2).mean() < 0.5
    assert (by_distance(x, rows, support) == 2).mean() > 0.95


def test_full_whitening_makes_every_direction_equally_wide_and_none_leaves_them() -> None:
    x = np.random.default_rng(0).normal(size=(4_000, 3)).astype(np.float32)
    x[:, 1] += 0.9 * x[:, 0]
    assert np.allclose(np.cov(whitened(x, x, 1.0).T), np.eye(3), atol=0.05)
    assert abs(np.cov(whitened(x, x, 0.0).T)[0, 1]) > 0.5


def test_scatter_inside_classes_ignores_how_far_the_classes_lie_apart() -> None:
    x, labels = clouds(2_000, apart=50.0, size=4)
    z = within(x, x, labels, 1.0)
    assert np.allclose(np.cov(z[labels == 1].T), np.eye(4), atol=0.1)


def arcs(count: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Two arcs about one axis: each hangs together, but its ends are nearer to the other's middle than to its own."""
    along = np.linspace(0, 2.4, count)
    arc = np.stack([np.cos(along), np.sin(along)], 1)
    x = np.concatenate([np.pad(arc, ((0, 0), (0, 1)), constant_values=level) for level in (0.35, -0.35)])
    return x.astype(np.float32), np.repeat([0, 1], count)


def test_a_label_spreads_along_what_hangs_together() -> None:
    x, labels = arcs()
    support = [np.array([0]), np.array([239])]  # one end of the one, the other end of the other
    rows = np.arange(len(x))
    net = graph(x, x + np.float32(0.01))
    assert (by_angle(x, rows, support) == labels).mean() < 0.7
    assert (net.answer(support) == labels).all()
    assert (net.guess(support) == labels).all()


def test_a_head_learns_from_guesses_and_judges_what_it_has_not_seen() -> None:
    x, labels = clouds()
    guess = labels.copy()
    guess[::20] = 0  # some guesses are wrong
    assert (Head(x[::2], x[1::2]).answer(guess[::2]) == labels[1::2]).mean() > 0.97


def test_crops_share_no_overlap_group_with_the_images_they_judge() -> None:
    labels = np.repeat(np.arange(6), 60)
    groups = [f"g{number // 3}" for number in range(len(labels))]
    training, judged = grouped(labels, groups, 0)
    rng = np.random.default_rng(0)
    for k in SHOTS:
        crops = drawn(labels, training, k, rng)
        assert [(len(set(rows)), set(labels[rows])) for rows in crops] == [(k, {label}) for label in range(6)]
        assert not {groups[row] for rows in crops for row in rows} & {groups[row] for row in judged}


def test_the_page_says_the_figures_that_were_measured(tmp_path: Path) -> None:
    figures = json.loads(RESULTS.read_text(encoding="utf-8"))
    text = fewshot.STAGE.tell(figures, Plots(tmp_path / "paper.md"))
    for by_shots in figures["fewshot"]["all_way"].values():
        assert all(f"{100 * by_shots[str(k)]['mean']:.2f} (" in text for k in SHOTS)
    assert (tmp_path / "figures" / "fewshot.png").is_file()
