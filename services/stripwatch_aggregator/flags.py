"""Which tiles matter, and as what."""

from __future__ import annotations

from dataclasses import dataclass

from stripwatch.domain.camera import Side
from stripwatch.domain.defect import ANOMALY
from stripwatch.domain.recipe import ClassRule, Recipe
from stripwatch.domain.result import FrameResult, TileScore
from stripwatch.domain.strip import RunStart

TENTHS = 10
"""Places are whole tenths of a mm from here on, so that no sum or comparison depends on its order."""


@dataclass(frozen=True, slots=True, order=True)
class Flag:
    """A tile that counts as something, with its place in tenths of a mm."""

    x0: int
    y0: int
    x1: int
    y1: int
    label: str
    side: Side
    camera: str
    confidence: int
    """Of its class; 0 for an anomaly."""
    anomaly: int | None


def rule_of(recipe: Recipe, label: str) -> ClassRule:
    return recipe.anomaly.rule if label == ANOMALY else recipe.rule(label)


def label_of(tile: TileScore, classes: tuple[str, ...], recipe: Recipe) -> tuple[str, int] | None:
    """The strongest class that the tile counts as, with its probability; else an anomaly; else None."""
    best: tuple[int, str] | None = None
    for label, probability in zip(classes, tile.probabilities, strict=False):
        if label in recipe.healthy or probability < recipe.rule(label).confidence:
            continue
        if best is None or (-probability, label) < best:
            best = (-probability, label)
    if best is not None:
        return best[1], -best[0]
    if tile.anomaly is not None and tile.anomaly >= recipe.anomaly.threshold:
        return ANOMALY, 0
    return None


def flags(result: FrameResult, recipe: Recipe, start: RunStart) -> list[Flag]:
    """The frame's tiles that count, less those wholly on strip that the recipe excludes."""
    found = []
    for tile in result.tiles:
        label = label_of(tile, result.classes, recipe)
        if label is None:
            continue
        box = tile.box
        flag = Flag(
            x0=tenths(box.x_mm),
            y0=tenths(box.y_mm),
            x1=tenths(box.end_x_mm),
            y1=tenths(box.end_y_mm),
            label=label[0],
            side=result.header.side,
            camera=result.header.camera,
            confidence=label[1],
            anomaly=tile.anomaly,
        )
        if not _excluded(flag, recipe, start):
            found.append(flag)
    return found


def _excluded(flag: Flag, recipe: Recipe, start: RunStart) -> bool:
    zone = recipe.exclusion
    edge, width = tenths(zone.edge_mm), tenths(start.width_mm)
    if flag.x1 <= tenths(zone.head_mm) or flag.y1 <= edge or (edge and flag.y0 >= width - edge):
        return True
    # Without a declared length the tail cannot be told from a strip that goes on: rather judge it.
    return bool(start.length_mm and zone.tail_mm and flag.x0 >= tenths(start.length_mm - zone.tail_mm))


def tenths(mm: float) -> int:
    return round(mm * TENTHS)
