"""What 1 to 20 labelled crops of a class are worth: trials over draws of crops, all classes or one that joins."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from rich.progress import track

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch_train.split import grouped
from stripwatch_train.study.frozen import columns
from stripwatch_train.study.prototypes import Labels, Matrix, Rows, by_angle, by_distance, whitened, within
from stripwatch_train.study.spreading import Head, graph
from stripwatch_train.study.study import FIVE, Study

SIZE, SIZES = 128, (64, 128)
"""Of the tiles: where a class joins, and what is tried where all are new."""
SHOTS = (1, 2, 5, 10, 20)
DRAWS, DRAWS_EACH, DRAWS_INSIDE = 100, 20, 40
"""Draws of crops, a seed and number of crops: of all classes, of each joining class, inside the training part."""
ANCHOR = 0.9713
"""The published one-shot accuracy on NEU."""
STAGES = ((6,), (6, 10), (3, 6, 10, 13))
POWERS = (0.0, 0.5, 0.75)
HALF, FULL = 0.5, 1.0
CLASSES = range(len(NEU_CLASSES))

Setting = tuple[int, tuple[int, ...], float]
"""Size of the tiles, stages of the backbone, and how far to whiten."""
Described = Mapping[int, Matrix]
"""Descriptors of all images by the size of the tiles."""
Answer = Callable[[Sequence[Rows]], Labels]
"""From the rows of each class's crops to the class of each judged image."""


def measure(study: Study) -> dict[str, Any]:
    """Both protocols over five grouped splits; crops come from the training part, validation images are judged."""
    described = {size: study.described(study.neu.images, size) for size in SIZES}
    labels, groups = study.neu.labels, study.neu.groups
    all_way: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in METHODS}
    joins: dict[str, dict[str, list[tuple[int, float, float]]]] = defaultdict(lambda: defaultdict(list))
    choices: dict[str, list[str]] = {name: [] for name in CHOSEN}
    for seed in track(FIVE, description="few shots"):
        training, judged = grouped(labels, groups, seed)
        rng = np.random.default_rng(seed)
        settings = {name: _chosen(METHODS[name], described, labels, groups, training) for name in CHOSEN}
        for name, setting in settings.items():
            choices[name].append(_text(setting))
        settings["head"] = settings["spread"]
        answers = {name: method(described, training, judged, settings[name]) for name, method in METHODS.items()}
        for k in SHOTS:
            for _ in range(DRAWS):
                support = drawn(labels, training, k, rng)
                for name, answer in answers.items():
                    all_way[name][str(k)].append(_share(answer(support) == labels[judged]))
        for new in CLASSES:
            for name, shots, whole, recall in _joined(described[SIZE], labels, training, judged, new, rng):
                joins[name][shots].append((new, whole, recall))
    found = {
        "size": SIZE,
        "seeds": list(FIVE),
        "draws_all_way": DRAWS * len(FIVE),
        "draws_joins": DRAWS_EACH * len(FIVE) * len(NEU_CLASSES),
        "judged": len(judged),
        "unlabelled": len(training),
        "published_one_shot": ANCHOR,
        "choices": choices,
        "all_way": {name: {k: _range(values) for k, values in by.items()} for name, by in all_way.items()},
        "joins": {name: {k: _joined_figures(trials) for k, trials in by.items()} for name, by in joins.items()},
    }
    return {"fewshot": found}


def drawn(labels: Labels, rows: Rows, k: int, rng: np.random.Generator) -> list[Rows]:
    """k of the rows of each class."""
    return [rng.choice(rows[labels[rows] == label], k, replace=False) for label in np.unique(labels[rows])]


def prototypes(described: Described, seen: Rows, judged: Rows, setting: Setting) -> Answer:
    """Nearest prototype by cosine, standardised and whitened by `seen` without its labels."""
    return partial(by_angle, _space(described, seen, setting), judged)


def spread(described: Described, seen: Rows, judged: Rows, setting: Setting) -> Answer:
    """Labels spread over the unlabelled `seen`, of which the crops are part."""
    z = _space(described, seen, setting)
    net = graph(z[seen], z[judged])
    return lambda support: net.answer([np.searchsorted(seen, rows) for rows in support])


def head(described: Described, seen: Rows, judged: Rows, setting: Setting) -> Answer:
    """A linear head on what the labels spread to."""
    z, size = _space(described, seen, setting), setting[0]
    net = graph(z[seen], z[judged])
    plain = whitened(described[size], described[size][seen], 0)
    linear = Head(plain[seen], plain[judged])
    return lambda support: linear.answer(net.guess([np.searchsorted(seen, rows) for rows in support]))


Method = Callable[[Described, Rows, Rows, Setting], Answer]
METHODS: dict[str, Method] = {"prototypes": prototypes, "spread": spread, "head": head}
CHOSEN = ("prototypes", "spread")
"""Each has its own stages and whitening; the head takes those of the spreading that it learns from."""


def _joined(
    described: Matrix,
    labels: Labels,
    training: Rows,
    judged: Rows,
    new: int,
    rng: np.random.Generator,
) -> Iterator[tuple[str, str, float, float]]:
    """(method, crops, accuracy on all, share of the new class found) where one class joins five that are known."""
    known, pool = training[labels[training] != new], training[labels[training] == new]
    half, full = (within(described, described[known], labels[known], power) for power in (HALF, FULL))
    answers: dict[str, Answer] = {
        "cosine": partial(by_angle, half, judged),
        "mahalanobis": partial(by_distance, full, judged),
    }
    for k in SHOTS:
        for _ in range(DRAWS_EACH):
            crops = rng.choice(pool, k, replace=False)
            support = [crops if label == new else known[labels[known] == label] for label in CLASSES]
            for name, answer in answers.items():
                right = answer(support) == labels[judged]
                yield name, str(k), _share(right), _share(right[labels[judged] == new])


def _chosen(
    method: Method,
    described: Described,
    labels: Labels,
    groups: Sequence[str],
    training: Rows,
) -> Setting:
    """The stages and whitening that do best from one crop, inside the training part alone."""
    fitted, held = grouped(labels[training], [groups[row] for row in training], 0)
    inside, outside = training[fitted], training[held]
    rng = np.random.default_rng(0)
    trials = [drawn(labels, inside, 1, rng) for _ in range(DRAWS_INSIDE)]

    def score(setting: Setting) -> float:
        answer = method(described, inside, outside, setting)
        return float(np.mean([_share(answer(support) == labels[outside]) for support in trials]))

    return max(product(SIZES, STAGES, POWERS), key=score)


def _space(described: Described, seen: Rows, setting: Setting) -> Matrix:
    size, stages, power = setting
    taken = described[size][:, columns(stages)]
    return whitened(taken, taken[seen], power)


def _text(setting: Setting) -> str:
    size, stages, power = setting
    return f"{size} px, stages {'+'.join(map(str, stages))}, whitening {power:g}"


def _share(right: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    return float(right.mean())


def _range(values: Sequence[float]) -> dict[str, float]:
    low, high = np.quantile(values, (0.05, 0.95))
    return {"mean": round(float(np.mean(values)), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def _joined_figures(trials: Sequence[tuple[int, float, float]]) -> dict[str, Any]:
    by_class = {
        NEU_CLASSES[new]: round(float(np.mean([recall for label, _, recall in trials if label == new])), 4)
        for new in CLASSES
    }
    return {
        "all": _range([whole for _, whole, _ in trials]),
        "new": _range([recall for _, _, recall in trials]),
        "new_by_class": by_class,
    }
