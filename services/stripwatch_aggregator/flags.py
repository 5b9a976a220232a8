"""Which tiles matter, and as what."""

from __future__ import annotations

from dataclasses import dataclass

from stripwatch.domain.camera import Side
from stripwatch.domain.defect import ANOMALY
from stripwatch.domain.reading import read_tile
from stripwatch.domain.recipe import ClassRule, Recipe
from stripwatch.domain.result import FrameResult
from stripwatch.domain.strip import RunStart

TENTHS = 10
"""Places are whole tenths of a mm from here on, so that no sum or comparison depends on its order."""


@dataclass(frozen=True, slots=True)
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

    @property
    def order(self) -> tuple[int, int, int, int, str, Side, str, int, bool, int]:
        """By place. Of two tiles of one place, only one may have an anomaly score."""
        scored = self.anomaly is not None
        place = (self.x0, self.y0, self.x1, self.y1)
        return (*place, self.label, self.side, self.camera, self.confidence, scored, self.anomaly or 0)


def rule_of(recipe: Recipe, label: str) -> ClassRule:
    return recipe.anomaly.rule if label == ANOMALY else recipe.rule(label)


def flags(result: FrameResult, recipe: Recipe, start: RunStart) -> list[Flag]:
    """The frame's tiles that count, less those wholly on strip that the recipe excludes."""
    found = []
    for tile in result.tiles:
        reading = read_tile(tile, result.classes, recipe)
        if reading is None:
            continue
        box = tile.box
        flag = Flag(
            x0=tenths(box.x_mm),
            y0=tenths(box.y_mm),
            x1=tenths(box.end_x_mm),
            y1=tenths(box.end_y_mm),
            label=reading.label,
            side=result.header.side,
            camera=result.header.camera,
            confidence=0 if reading.label == ANOMALY else reading.strength,
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
