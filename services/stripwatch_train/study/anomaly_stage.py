"""An anomaly scorer that works: what it takes, beside what the field does and what was tried on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import track

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.errors import NotFound
from stripwatch_train import neighbours
from stripwatch_train.evaluate import auroc
from stripwatch_train.neighbours import logged
from stripwatch_train.split import Rows, grouped
from stripwatch_train.study.anomaly_model import SIZE, TwoSizes, export
from stripwatch_train.study.anomaly_page import tell
from stripwatch_train.study.intervals import auroc_interval
from stripwatch_train.study.magnetic import DEFECTS, Magnetic
from stripwatch_train.study.patchwise import SIDE, PatchBank, PatchGauss, PatchNet
from stripwatch_train.study.stage import Stage
from stripwatch_train.study.study import FIVE, Matrix, Study, small
from stripwatch_train.study.windows import where

HEALTHY = NEU_CLASSES.index("patches")
FEW = 20
BAD = 0.05
SIZES = (64, 128)
"""The method describes a tile at both; these are each alone."""

Fit = Callable[[Matrix], Callable[[Matrix], Matrix]]
"""Healthy descriptors to a function that scores descriptors."""


def _ours(healthy: Matrix, **options: Any) -> Callable[[Matrix], Matrix]:
    return neighbours.fit(healthy, **options).scores


def _mahalanobis(healthy: Matrix) -> Callable[[Matrix], Matrix]:
    mean, turn = neighbours.turned(healthy, whitened=True)
    return lambda x: np.asarray(np.sqrt((((x - mean) @ turn) ** 2).sum(1)), dtype=np.float32)


def _cosine(healthy: Matrix) -> Callable[[Matrix], Matrix]:
    mean, spread = healthy.mean(0), healthy.std(0) + 1e-3

    def unit(x: Matrix) -> Matrix:
        z = (x - mean) / spread
        return np.asarray(z / np.linalg.norm(z, axis=1, keepdims=True), dtype=np.float32)

    bank = unit(healthy)
    return lambda x: np.asarray(np.sort(1 - unit(x) @ bank.T, axis=1)[:, :3].mean(1), dtype=np.float32)


METHODS: dict[str, Fit] = {
    "ours": _ours,
    "ours, strays kept": partial(_ours, trim=False),
    "whitened alone": partial(_ours, measures=(True,)),
    "plain alone": partial(_ours, measures=(False,)),
    "Mahalanobis, logarithms": lambda healthy: _after_log(_mahalanobis, healthy),
    "Mahalanobis": _mahalanobis,
    "cosine, 3 neighbours": _cosine,
}


def _after_log(fit: Fit, healthy: Matrix) -> Callable[[Matrix], Matrix]:
    score = fit(logged(healthy))
    return lambda x: score(logged(x))


def measure(study: Study) -> dict[str, Any]:
    """Every method on every question, five seeds; then the map, the model, and the patch-wise methods."""
    magnetic = Magnetic.load(study.places.magnetic)
    images, tiles = study.neu.images, list(magnetic.images)
    net = TwoSizes(study.frozen)
    neu = study.through(net, small(images, SIZE), "two-sizes")
    mt = study.through(net, small(tiles, SIZE), "two-sizes")
    methods = {name: _all(study, magnetic, neu, mt, fit, name) for name, fit in METHODS.items()}
    sizes = {
        str(size): _all(
            study, magnetic, study.described(images, size), study.described(tiles, size), _ours, f"{size} px"
        )
        for size in SIZES
    }
    training, held, defective = neu_sides(study, 0)
    healthy = neighbours.fit(neu[training])
    ours = methods["ours"]
    return {
        "anomaly": {
            "auroc_overall_mean": ours["neu"]["overall"]["mean"],
            "auroc_worst_class": min(ours["neu"]["per_class"].values()),
            "auroc_few": ours["few"]["overall"]["mean"],
            "auroc_contaminated": ours["contaminated"]["overall"]["mean"],
            "auroc_magnetic": ours["magnetic"]["overall"]["mean"],
            "seeds": list(FIVE),
            "few": FEW,
            "contamination": BAD,
            "methods": methods,
            "sizes": sizes,
            "patchwise": _patchwise(study, magnetic),
            "rows": _rows(study),
            "map": where(study, magnetic),
            "model": export(study, healthy, healthy.scores(neu), held, defective),
        }
    }


def _all(study: Study, magnetic: Magnetic, neu: Matrix, tiles: Matrix, fit: Fit, what: str) -> dict[str, Any]:
    """One method on the four questions."""
    questions: dict[str, list[_Areas]] = {"neu": [], "few": [], "contaminated": [], "magnetic": []}
    for seed in track(FIVE, description=f"anomaly: {what}"):
        rng = np.random.default_rng(seed)
        training, held, defective = neu_sides(study, seed)
        questions["neu"].append(_areas(study, fit(neu[training])(neu), held, defective))
        questions["few"].append(_areas(study, fit(neu[rng.permutation(training)[:FEW]])(neu), held, defective))
        mixed, others = _contaminated(study, training, defective, rng)
        questions["contaminated"].append(_areas(study, fit(neu[mixed])(neu), held, others))
        own, own_held = magnetic.split(seed)
        questions["magnetic"].append(_magnetic_areas(magnetic, fit(tiles[own])(tiles), own_held))
    return {name: summary(areas) for name, areas in questions.items()}


_Areas = tuple[float, dict[str, float], tuple[float, float]]
"""AUROC overall, per class, and the overall one's bootstrap interval."""


def neu_sides(study: Study, seed: int) -> tuple[Rows, Rows, Rows]:
    """Healthy rows to learn from, healthy rows held out (whole overlap groups), and all defective rows."""
    healthy = np.flatnonzero(study.neu.labels == HEALTHY)
    training, held = grouped(study.neu.labels[healthy], [study.neu.groups[row] for row in healthy], seed)
    return healthy[training], healthy[held], np.flatnonzero(study.neu.labels != HEALTHY)


def _contaminated(study: Study, training: Rows, defective: Rows, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """The training rows with defects among them, and the defective rows of other overlap groups."""
    strays = rng.permutation(defective)[: round(BAD * len(training) / (1 - BAD))]
    seen = {study.neu.groups[row] for row in strays}
    others = np.array([row for row in defective if study.neu.groups[row] not in seen])
    return np.concatenate([training, strays]), others


def _areas(study: Study, scores: Matrix, held: Rows, defective: Rows) -> _Areas:
    labels = study.neu.labels[defective]
    per_class = {
        NEU_CLASSES[label]: auroc(scores[held], scores[defective[labels == label]])
        for label in range(len(NEU_CLASSES))
        if label != HEALTHY
    }
    overall = auroc(scores[held], scores[defective])
    return overall, per_class, auroc_interval(scores[held], scores[defective])


def _magnetic_areas(magnetic: Magnetic, scores: Matrix, held: Rows) -> _Areas:
    per_class = {label: auroc(scores[held], scores[magnetic.labels == label]) for label in DEFECTS}
    rows = magnetic.defective
    return auroc(scores[held], scores[rows]), per_class, auroc_interval(scores[held], scores[rows])


def summary(areas: list[_Areas]) -> dict[str, Any]:
    """Means over seeds; the interval is that of the first seed."""
    overall = [one[0] for one in areas]
    return {
        "overall": {
            "mean": _short(np.mean(overall)),
            "worst": _short(min(overall)),
            "seeds": [_short(a) for a in overall],
        },
        "per_class": {name: _short(np.mean([one[1][name] for one in areas])) for name in areas[0][1]},
        "interval": [_short(bound) for bound in areas[0][2]],
    }


def _rows(study: Study) -> dict[str, dict[str, float]]:
    """The autoencoders of the paper on the same question, as the stage before found them."""
    file = study.results / "rows.json"
    if not file.is_file():
        raise NotFound(f"{file}: run the stage `rows` first")
    rows = json.loads(file.read_text())["rows"]
    return {
        name: {
            "overall": row["auroc_overall"]["mean"],
            "worst_class": min(
                _short(np.mean([seed["classes"][label]["auroc"] for seed in row["seeds"]]))
                for label in row["seeds"][0]["classes"]
                if label != NEU_CLASSES[HEALTHY]
            ),
        }
        for name, row in rows.items()
        if name != "mobilenetv2"
    }


def _patchwise(study: Study, magnetic: Magnetic) -> dict[str, Any]:
    """Both patch-wise methods on the same splits."""
    net = PatchNet(study.frozen)
    neu = study.through(net, small(study.neu.images, 8 * SIDE), "patches-neu")
    tiles = study.through(net, small(list(magnetic.images), 8 * SIDE), "patches-magnetic")
    found: dict[str, dict[str, list[_Areas]]] = {
        name: {"neu": [], "magnetic": []} for name in ("nearest patch", "patch Mahalanobis")
    }
    for seed in track(FIVE, description="anomaly: patch-wise"):
        training, held, defective = neu_sides(study, seed)
        own, own_held = magnetic.split(seed)
        fits: dict[str, Callable[[npt.NDArray[np.float32]], PatchBank | PatchGauss]] = {
            "nearest patch": partial(PatchBank.fit, seed=seed),
            "patch Mahalanobis": PatchGauss.fit,
        }
        for name, fit in fits.items():
            found[name]["neu"].append(_areas(study, fit(neu[training]).scores(neu), held, defective))
            found[name]["magnetic"].append(_magnetic_areas(magnetic, fit(tiles[own]).scores(tiles), own_held))
    return {name: {what: summary(areas) for what, areas in one.items()} for name, one in found.items()}


def _short(value: float | np.floating[Any]) -> float:
    return round(float(value), 5)


STAGE = Stage("anomaly", measure, tell)
