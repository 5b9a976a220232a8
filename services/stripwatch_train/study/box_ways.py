"""The ways to boxes that are compared: three maps of where, and two ways to cut a map. All fitted on training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from stripwatch_train.split import Rows
from stripwatch_train.study.box_match import overlaps, rates, tally
from stripwatch_train.study.box_truth import Boxes
from stripwatch_train.study.cells import Cells, Moments, judged
from stripwatch_train.study.chooser import Chooser, Expected, chosen
from stripwatch_train.study.outline import Map, Traits, boxes_of, candidates

Labels = npt.NDArray[np.int64]
Folds = npt.NDArray[np.int64]

_FOLDS = 3
_LEAST_OVERLAPS = (0.2, 0.25, 0.3, 0.35, 0.4)


@dataclass(frozen=True, slots=True)
class Sides:
    """One split: `fold` tells each training row's part for cross-validation, in the order of `train`."""

    train: Rows
    held: Rows
    labels: Labels
    """(1800,) the class of each image: the true one where it trains, the predicted one where it is judged."""
    fold: Folds

    @classmethod
    def of(cls, train: Rows, held: Rows, labels: Labels, predicted: Labels, groups: Sequence[str], seed: int) -> Sides:
        """Folds keep overlap groups together and classes even; held-out rows get their predicted class."""
        fold = np.empty(len(train), dtype=np.int64)
        folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
        parts = folds.split(train, labels[train], np.asarray(groups)[train])
        for number, (_, part) in enumerate(parts):
            fold[part] = number
        seen = labels.copy()
        seen[held] = predicted[held]
        return cls(train, held, seen, fold)


def classify(features: npt.NDArray[np.float32], labels: Labels, train: Rows, strength: float) -> LogisticRegression:
    """Logistic regression on features that are already standardised."""
    return LogisticRegression(C=strength, max_iter=5000).fit(features[train], labels[train])


def standardised(features: npt.NDArray[np.float32], train: Rows) -> tuple[npt.NDArray[np.float32], Map]:
    """Features in the training rows' standard deviations, and these."""
    scale = features[train].std(0) + 1e-6
    return (features - features[train].mean(0)) / scale, scale


def activation_maps(last: Cells, labels: Labels, train: Rows) -> tuple[Map, Labels]:
    """Class-activation maps (Zhou et al. 2016, doi:10.1109/CVPR.2016.319) of (N, C, H, W), as shares of their maximum.

    The class is the one that the map's own classifier predicts, a linear one on the channels' means.
    """
    channels = last.astype(np.float32)
    means, scale = standardised(channels.mean((2, 3)), train)
    classifier = classify(means, labels, train, 1.0)
    predicted = classifier.predict(means).astype(np.int64)
    weights = (classifier.coef_ / scale)[predicted].astype(np.float32)  # (N, C)
    maps = np.einsum("nchw,nc->nhw", channels, weights)
    return np.clip(maps / np.maximum(maps.max((1, 2), keepdims=True), 1e-6), 0, 1), predicted


def window_maps(windows: Cells, train: Rows, side: int) -> Map:
    """How unlike the rest of its tile each window is: Mahalanobis distance of (N, P, C) means to the tile's own mean.

    The covariance is that of windows around their tile's mean, over the training tiles; no label is used.
    """
    count, cells, channels = windows.shape
    inner = np.zeros((channels, channels))
    for row in train:
        apart = windows[row].astype(np.float32)
        apart = apart - apart.mean(0)
        inner += apart.T @ apart
    inner = inner / (len(train) * cells)
    inner += 0.01 * np.trace(inner) / channels * np.eye(channels)
    root = np.linalg.cholesky(np.linalg.inv(inner)).astype(np.float32)
    maps = np.empty((count, cells), dtype=np.float32)
    for row in range(count):
        apart = windows[row].astype(np.float32)
        maps[row] = np.linalg.norm((apart - apart.mean(0)) @ root, axis=1)
    return maps.reshape(count, side, side)


def cell_maps(features: Cells, wanted: Map, sides: Sides) -> Map:
    """(N, S, S) what each class's head says of the cells; of a training image, by a head that has not seen its fold."""
    maps = np.empty(wanted.shape, dtype=np.float32)
    flat = wanted.reshape(len(wanted), -1)
    heads: dict[int, npt.NDArray[np.float32]] = {}
    for label in np.unique(sides.labels[sides.train]):
        own = sides.labels[sides.train] == label
        parts = [sides.train[own & (sides.fold == fold)] for fold in range(_FOLDS)]
        moments = [Moments.of(features[part], flat[part]) for part in parts]
        whole = moments[0] + moments[1] + moments[2]
        for part, seen in zip(parts, moments, strict=True):
            maps[part] = judged(features[part], [(whole - seen).head()] * len(part))
        heads[int(label)] = whole.head()
    maps[sides.held] = judged(features[sides.held], [heads[label] for label in sides.labels[sides.held].tolist()])
    return maps


def best_levels(
    maps: Map, true: Sequence[Boxes], sides: Sides, levels: Sequence[float], margin: float
) -> dict[int, float]:
    """For each class, the level whose boxes have the best F1 on the training rows."""
    best: dict[int, float] = {}
    for label in np.unique(sides.labels[sides.train]):
        rows = sides.train[sides.labels[sides.train] == label]
        wanted = [true[row] for row in rows]

        def score(level: float, rows: Rows = rows, wanted: Sequence[Boxes] = wanted) -> float:
            return rates(tally([boxes_of(maps[row], level, margin) for row in rows], wanted))["f1_iou30"]

        best[int(label)] = max(levels, key=score)
    return best


def cut(maps: Map, sides: Sides, levels: Mapping[int, float], margin: float) -> list[Boxes]:
    """The held-out images' boxes, each at its predicted class's level."""
    return [boxes_of(maps[row], levels[int(sides.labels[row])], margin) for row in sides.held]


def choose(
    maps: Map, true: Sequence[Boxes], sides: Sides, levels: Sequence[float], margin: float
) -> tuple[list[Boxes], float]:
    """The held-out images' boxes out of the candidates of all levels, and the expected overlap that they need.

    That bar is one for all classes: the best mean F1 over classes on the training rows, each judged by a chooser that
    has not seen its fold.
    """
    offered = {int(row): candidates(maps[row], levels, margin) for row in (*sides.train, *sides.held)}
    expected: dict[int, Expected] = {}
    for label in np.unique(sides.labels[sides.train]):
        own = sides.labels[sides.train] == label
        for fold in range(_FOLDS):
            others, part = sides.train[own & (sides.fold != fold)], sides.train[own & (sides.fold == fold)]
            expected |= _foretold(offered, true, others, part)
        judged_rows = sides.held[sides.labels[sides.held] == label]
        expected |= _foretold(offered, true, sides.train[own], judged_rows)
    bar = max(_LEAST_OVERLAPS, key=lambda least: _mean_f1(offered, expected, true, sides, least))
    return [chosen(offered[row][0], expected[row], bar) for row in sides.held.tolist()], bar


def _foretold(
    offered: Mapping[int, tuple[Boxes, Traits]], true: Sequence[Boxes], seen: Rows, rows: Rows
) -> dict[int, Expected]:
    boxes = [offered[int(row)] for row in seen]
    best = [overlaps(found, true[row]).max(1, initial=0) for (found, _), row in zip(boxes, seen, strict=True)]
    chooser = Chooser.fit(np.concatenate([traits for _, traits in boxes]), np.concatenate(best).astype(np.float64))
    return {int(row): chooser.expected(offered[int(row)][1]) for row in rows}


def _mean_f1(
    offered: Mapping[int, tuple[Boxes, Traits]],
    expected: Mapping[int, Expected],
    true: Sequence[Boxes],
    sides: Sides,
    least: float,
) -> float:
    counts = tally(
        [chosen(offered[row][0], expected[row], least) for row in sides.train.tolist()],
        [true[row] for row in sides.train],
    )
    labels = sides.labels[sides.train]
    return float(np.mean([rates(counts[labels == label])["f1_iou30"] for label in np.unique(labels)]))
