"""What a tile's scores say under a recipe: a class, an anomaly, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

from stripwatch.domain.defect import ANOMALY
from stripwatch.domain.recipe import Recipe
from stripwatch.domain.result import TileScore


@dataclass(frozen=True, slots=True)
class Reading:
    """What a tile counts as. `strength` is in units of QUANTUM: a class's confidence, or the anomaly score."""

    label: str
    strength: int


def read_tile(tile: TileScore, classes: tuple[str, ...], recipe: Recipe) -> Reading | None:
    """The tile's most probable class that is no healthy one, if the tile is surely enough defective; else an anomaly.

    How surely is the probability of all classes together that are not healthy: a tile that is torn between an inclusion
    and a scratch is a defect all the same.
    """
    probable = [
        (-probability, label)
        for label, probability in zip(classes, tile.probabilities, strict=False)
        if label not in recipe.healthy
    ]
    if probable:
        _, label = min(probable)
        confidence = -sum(probability for probability, _ in probable)
        if confidence >= recipe.rule(label).confidence:
            return Reading(label, confidence)
    if tile.anomaly is not None and tile.anomaly >= recipe.anomaly.threshold:
        return Reading(ANOMALY, tile.anomaly)
    return None
