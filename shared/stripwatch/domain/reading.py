"""What a tile's scores say under a recipe: a class, an unknown kind, an anomaly, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

from stripwatch.domain.defect import ANOMALY, UNKNOWN
from stripwatch.domain.recipe import Recipe
from stripwatch.domain.result import QUANTUM, TileScore

_ONE = round(1 / QUANTUM)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a tile counts as. `strength` is in units of QUANTUM: a class's confidence, or the anomaly score."""

    label: str
    strength: int


def read_tile(tile: TileScore, classes: tuple[str, ...], recipe: Recipe) -> Reading | None:
    """The tile's most probable class that is no healthy one, if the tile is surely enough defective; else an anomaly.

    How surely is the probability of all classes together that are not healthy: a tile that is torn between an inclusion
    and a scratch is a defect all the same. If it looks unusual besides, and no class holds enough of that probability,
    it is of unknown kind and not of the nearest class. If it was scored and looks like any healthy
    tile, it is no defect: streaks that pass for scratches are known to the anomaly scorer.
    """
    if tile.anomaly is not None and tile.anomaly < recipe.anomaly.usual_below:
        return None
    score = 0 if tile.anomaly is None else tile.anomaly
    anomalous = score >= recipe.anomaly.threshold
    probable = [
        (-probability, label)
        for label, probability in zip(classes, tile.probabilities, strict=False)
        if label not in recipe.healthy
    ]
    if probable:
        highest, label = min(probable)
        confidence = -sum(probability for probability, _ in probable)
        if confidence >= recipe.rule(label).confidence:
            torn = -highest * _ONE < recipe.anomaly.unknown_below * confidence
            return Reading(UNKNOWN if torn and anomalous else label, confidence)
    if anomalous:
        return Reading(ANOMALY, score)
    return None
