"""Stage `boxes`: where in a tile the defect is, against the boxes of NEU-DET."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch_train.descriptor import statistics
from stripwatch_train.split import grouped
from stripwatch_train.study.box_match import Tally, areas, rates, tally
from stripwatch_train.study.box_truth import Boxes, Truth, read_truth
from stripwatch_train.study.box_ways import (
    Sides,
    activation_maps,
    best_levels,
    cell_maps,
    choose,
    classify,
    cut,
    standardised,
    window_maps,
)
from stripwatch_train.study.boxes_page import tell
from stripwatch_train.study.cells import MARGIN, SHRINK, SIDE, SIZE, SQUARE, Cells, cells, drawn
from stripwatch_train.study.outline import Map, boxes_of
from stripwatch_train.study.stage import Stage
from stripwatch_train.study.study import FIVE, Study, small

_TILE = np.array([[0, 0, 200, 200]], dtype=np.float32)
_PUBLISHED_LEVEL = 0.2
"""Of the activation map's maximum: the share in Zhou et al. 2016."""
_SHARES = tuple(round(0.1 * step, 2) for step in range(1, 10))
_LEVELS = tuple(round(0.05 * step, 2) for step in range(2, 15))
_QUANTILES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)


@dataclass(frozen=True, slots=True)
class Material:
    """What one pass of the frozen network gives of all images, and what is true of them."""

    features: Cells  # (1800, 400, 864) float16
    last: Cells  # (1800, 96, 10, 10) float16
    descriptors: npt.NDArray[np.float32]  # (1800, 432)
    truth: Truth
    whole: Map  # (1800, 20, 20) the boxes drawn as they are
    shrunk: Map  # (1800, 20, 20) the boxes drawn smaller


def measure(study: Study) -> dict[str, Any]:
    """Every way to boxes on five grouped splits."""
    neu, given = study.neu, _material(study)
    trials = [_trial(study, given, seed) for seed in track(FIVE, description="boxes")]
    labels = [grouped(neu.labels, neu.groups, seed)[1] for seed in FIVE]
    ways = list(trials[0].counts)
    counts = {way: [trial.counts[way] for trial in trials] for way in ways}
    ceilings = ("map_of_true_boxes", "map_of_shrunk_true_boxes")
    return {
        "seeds": list(FIVE),
        "split": "grouped, 20 % held out",
        "input_px": SIZE,
        "cells": SIDE,
        "shrink": SHRINK,
        "truth": _truth(study, given),
        "class_accuracy": _spread([trial.accuracy for trial in trials]),
        "least_expected_overlap": [trial.bar for trial in trials],
        "boxes": {way: _summary(counts[way]) for way in ways if way not in ceilings},
        "ceiling": {way: _summary(counts[way]) for way in ceilings},
        "per_class": {
            name: {
                way: _summary([rows[neu.labels[held] == label] for rows, held in zip(counts[way], labels, strict=True)])
                for way in ways
            }
            for label, name in enumerate(NEU_CLASSES)
        },
    }


@dataclass(frozen=True, slots=True)
class _Trial:
    counts: dict[str, Tally]
    accuracy: float
    bar: float


def _trial(study: Study, given: Material, seed: int) -> _Trial:
    neu, true = study.neu, given.truth.boxes
    train, held = grouped(neu.labels, neu.groups, seed)
    features, _ = standardised(given.descriptors, train)
    predicted = classify(features, neu.labels, train, 0.3).predict(features)
    sides = Sides.of(train, held, neu.labels, predicted, neu.groups, seed)
    activation, own = activation_maps(given.last, neu.labels, train)
    active = Sides.of(train, held, neu.labels, own, neu.groups, seed)
    windows = window_maps(given.features[:, :, SQUARE], train, SIDE)
    inside = cell_maps(given.features, given.shrunk, sides)

    steps = np.quantile(windows[train], _QUANTILES).tolist()
    level = max(steps, key=lambda step: _f1([boxes_of(windows[row], step) for row in train], true, train))
    bare, _ = choose(activation, true, active, _SHARES, 0.0)
    best, bar = choose(inside, true, sides, _LEVELS, MARGIN)
    found: dict[str, Sequence[Boxes]] = {
        "whole_image": [_TILE] * len(held),
        "cam": [boxes_of(activation[row], _PUBLISHED_LEVEL) for row in held],
        "cam_level": cut(activation, active, best_levels(activation, true, active, _SHARES, 0.0), 0.0),
        "cam_chosen": bare,
        "window": [boxes_of(windows[row], level) for row in held],
        "cells_level": cut(inside, sides, best_levels(inside, true, sides, _LEVELS, MARGIN), MARGIN),
        "cells": best,
        "map_of_true_boxes": [boxes_of(given.whole[row], 0.5) for row in held],
        "map_of_shrunk_true_boxes": [boxes_of(given.shrunk[row], 0.5, MARGIN) for row in held],
    }
    wanted = [true[row] for row in held]
    accuracy = float((predicted[held] == neu.labels[held]).mean())
    return _Trial({way: tally(boxes, wanted) for way, boxes in found.items()}, accuracy, bar)


@torch.inference_mode()
def _material(study: Study, batch: int = 40) -> Material:
    tiles = small(study.neu.images, SIZE)
    truth = read_truth(study.neu.places.notes / "_annotations_voc", study.neu.names)
    features: list[Cells] = []
    last: list[Cells] = []
    descriptors: list[npt.NDArray[np.float32]] = []
    for start in track(range(0, len(tiles), batch), description=f"cells at {SIZE} px"):
        outputs = study.frozen.maps(torch.from_numpy(tiles[start : start + batch]))
        features.append(cells(outputs).flatten(2).permute(0, 2, 1).half().numpy())
        last.append(outputs[-1].half().numpy())
        descriptors.append(torch.cat([statistics(output) for output in outputs], 1).numpy())
    return Material(
        np.concatenate(features),
        np.concatenate(last),
        np.concatenate(descriptors),
        truth,
        np.stack([drawn(boxes, 0.0) for boxes in truth.boxes]),
        np.stack([drawn(boxes, SHRINK) for boxes in truth.boxes]),
    )


def _f1(found: Sequence[Boxes], true: Sequence[Boxes], rows: npt.NDArray[np.int64]) -> float:
    return rates(tally(found, [true[row] for row in rows]))["f1_iou30"]


def _truth(study: Study, given: Material) -> dict[str, Any]:
    """What NEU-DET's boxes are like: how many, how large, how much of a tile they leave free."""
    boxes = given.truth.boxes
    kinds: Mapping[str, list[int]] = {
        name: np.flatnonzero(study.neu.labels == label).tolist() for label, name in enumerate(NEU_CLASSES)
    }
    return {
        "boxes": given.truth.count,
        "named_otherwise": given.truth.misnamed,
        "per_class": {
            name: {
                "boxes_per_image": round(sum(len(boxes[row]) for row in rows) / len(rows), 2),
                "median_share_of_image": round(
                    float(np.median(np.concatenate([areas(boxes[row]) for row in rows])) / 200**2), 3
                ),
                "covered": round(float(given.whole[rows].mean()), 3),
            }
            for name, rows in kinds.items()
        },
    }


def _summary(counts: Sequence[Tally]) -> dict[str, dict[str, float]]:
    found = [rates(rows) for rows in counts]
    return {measure: _spread([rate[measure] for rate in found]) for measure in found[0]}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "mean": round(float(np.mean(values)), 4),
        "low": round(float(min(values)), 4),
        "high": round(float(max(values)), 4),
    }


STAGE = Stage("boxes", measure, tell)
