"""What scores say: their spread in each class, how well they part healthy from defective, which pairs one can pick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.pixels import Image, resize
from stripwatch_train.evaluate import auroc
from stripwatch_train.neu import Neu
from stripwatch_train.split import Rows, grouped
from stripwatch_train.study.intervals import Scores, auroc_interval

HEALTHY = "patches"
"""The paper's healthy baseline."""
DEFECTS = tuple(name for name in NEU_CLASSES if name != HEALTHY)
SHARES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Quantiles that are kept: the range, the median, and what lies between."""
LIMIT = 0.95
"""The threshold: this quantile of healthy images that were not trained on."""
SHRUNK = 64
"""Side of the shrunk image that nets are compared with: 4,096 numbers, half as many as the latent has."""

_DIGITS = 5


def sides(neu: Neu, seed: int) -> tuple[Rows, Rows]:
    """(healthy rows to train on, healthy rows held out): 80/20, overlap groups kept together."""
    healthy = np.flatnonzero(neu.labels == NEU_CLASSES.index(HEALTHY))
    inside, outside = grouped(neu.labels[healthy], [neu.groups[row] for row in healthy], seed)
    return healthy[inside], healthy[outside]


def told(neu: Neu, scores: Scores, plain: Mapping[str, Scores], held: Rows) -> dict[str, Any]:
    """Figures of one scorer on `held` against all defects, and its rank correlation with each `plain` score.

    Scores are (1800,), one an image.
    """
    defective = np.flatnonzero(neu.labels != NEU_CLASSES.index(HEALTHY))
    judged = np.concatenate([held, defective])
    healthy = scores[held]
    return {
        "limit": round(float(np.quantile(healthy, LIMIT)), _DIGITS),
        "correlation": {
            name: round(float(spearmanr(scores[judged], other[judged]).statistic), _DIGITS)
            for name, other in plain.items()
        },
        "overall": _parted(healthy, scores[defective]),
        "classes": {
            HEALTHY: {"quantiles": _quantiles(healthy)},
            **{name: _class(healthy, scores[neu.labels == NEU_CLASSES.index(name)]) for name in DEFECTS},
        },
        "pair": _pair(neu, scores, int(held[healthy.argmax()]), int(defective[scores[defective].argmin()])),
        "counter_pair": _pair(neu, scores, int(held[healthy.argmin()]), int(defective[scores[defective].argmax()])),
    }


def plain_scores(tiles: Image) -> dict[str, Scores]:
    """Scores that need no network: grey deviation, and the root of what shrinking loses."""
    return {"contrast": contrast(tiles), "detail": np.sqrt(shrinking_errors(tiles))}


def contrast(tiles: Image) -> Scores:
    """(N,) standard deviations of the grey values of (N, 1, S, S) tiles, in 0..1."""
    return np.asarray((tiles / np.float32(255)).std((1, 2, 3)), dtype=np.float32)


def shrinking_errors(tiles: Image, size: int = SHRUNK) -> Scores:
    """(N,) mean squared errors of tiles in 0..1 that are shrunk to `size` x `size` and grown again."""
    side = tiles.shape[-1]
    back = np.stack([resize(resize(tile[0], size), side) for tile in tiles])[:, None]
    return np.asarray((((tiles - back.astype(np.float32)) / 255) ** 2).mean((1, 2, 3)), dtype=np.float32)


def variance_kept(errors: Scores, contrasts: Scores) -> float:
    """The share of the pixels' variance about each tile's mean that reconstructions with these squared errors hold."""
    return round(1 - float(errors.sum() / (contrasts**2).sum()), _DIGITS)


def classes_of(neu: Neu, held: Rows) -> dict[str, Rows]:
    """The rows that are judged: healthy ones held out, and all of each defect."""
    return {HEALTHY: held, **{name: np.flatnonzero(neu.labels == NEU_CLASSES.index(name)) for name in DEFECTS}}


def _class(healthy: Scores, defective: Scores) -> dict[str, Any]:
    return {"quantiles": _quantiles(defective), **_parted(healthy, defective)}


def _parted(healthy: Scores, defective: Scores) -> dict[str, Any]:
    low, high = auroc_interval(healthy, defective)
    return {
        "auroc": round(auroc(healthy, defective), _DIGITS),
        "interval": [round(low, _DIGITS), round(high, _DIGITS)],
    }


def _quantiles(scores: Scores) -> list[float]:
    return [round(float(value), _DIGITS) for value in np.quantile(scores, SHARES)]


def _pair(neu: Neu, scores: Scores, healthy: int, defective: int) -> dict[str, Any]:
    named: Sequence[tuple[str, int]] = (("healthy", healthy), ("defect", defective))
    return {side: {"image": neu.names[row], "score": round(float(scores[row]), _DIGITS)} for side, row in named}
