"""Figures of the shipped models on what they have never seen: held-out images, composed strips, simulated strips."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import track

from stripwatch.pixels import Image, resize
from stripwatch_train.batches import CLASSES
from stripwatch_train.strips import TestStrip

Scores = npt.NDArray[np.float32]
Score = Callable[[Image], Scores]
THRESHOLDS = (0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9)


@dataclass
class Judge:
    """Both models as the services run them; `flags` is what a recipe would make of a tile."""

    classify: Score
    class_size: int
    anomaly: Score | None = None
    anomaly_size: int = 0

    def judge(self, tiles: Image) -> tuple[Scores, Scores]:
        """(N, 7) probabilities and (N,) anomaly scores of (N, 200, 200) tiles; zeros without an anomaly model."""
        p = self.classify(shrunk(tiles, self.class_size))
        a = self.anomaly(shrunk(tiles, self.anomaly_size)) if self.anomaly else np.zeros(len(tiles), dtype=np.float32)
        return p, a


def shrunk(tiles: Image, size: int) -> Image:
    """(N, 1, size, size) uint8, resized as the worker does."""
    return np.stack([resize(np.ascontiguousarray(tile), size) for tile in tiles])[:, None]


@dataclass
class Tally:
    """Counts over strips of one kind, at each threshold."""

    defects: int = 0
    tiles_clean: int = 0
    clean_strips: int = 0
    right: list[int] = field(default_factory=lambda: [0] * len(THRESHOLDS))
    found: list[int] = field(default_factory=lambda: [0] * len(THRESHOLDS))
    false_tiles: list[int] = field(default_factory=lambda: [0] * len(THRESHOLDS))
    false_strips: list[int] = field(default_factory=lambda: [0] * len(THRESHOLDS))
    anomaly_found: int = 0
    anomaly_false_tiles: int = 0
    anomaly_false_strips: int = 0
    highest_clean: float = 0.0
    """The highest probability of any defect class on a healthy tile."""
    highest_clean_anomaly: float = 0.0
    missed: list[str] = field(default_factory=list)

    def add(self, strip: TestStrip, p: Scores, anomaly: Scores) -> None:
        """Count one strip's defects and the tiles that see none."""
        best, sure = p.argmax(1), p.max(1)
        anomalous = anomaly >= 1
        touched = {tile for defect in strip.defects for tile in defect.tiles}
        clean = [tile for tile in range(len(p)) if tile not in touched]
        self.tiles_clean += len(clean)
        self.clean_strips += not strip.defects
        if clean:
            self.highest_clean = max(self.highest_clean, float(p[clean, 1:].max()))
            self.highest_clean_anomaly = max(self.highest_clean_anomaly, float(anomaly[clean].max()))
        self.anomaly_false_tiles += int(anomalous[clean].sum())
        self.anomaly_false_strips += not strip.defects and bool(anomalous.any())
        for at, threshold in enumerate(THRESHOLDS):
            flagged = (best > 0) & (sure >= threshold)
            self.false_tiles[at] += int(flagged[clean].sum())
            self.false_strips[at] += not strip.defects and bool(flagged.any())
            for defect in strip.defects:
                seen = [tile for tile in defect.tiles if flagged[tile]]
                self.found[at] += bool(seen)
                self.right[at] += any(CLASSES[best[tile]] == defect.label for tile in seen)
        for defect in strip.defects:
            self.defects += 1
            self.anomaly_found += bool(anomalous[list(defect.tiles)].any())
            answers = {CLASSES[best[tile]] for tile in defect.tiles}
            if defect.label not in answers:
                self.missed.append(f"{defect.label} {defect.name} as {', '.join(sorted(answers))}")

    def figures(self) -> dict[str, Any]:
        """As plain numbers; shares are of all defects, rates of all tiles or strips without one."""
        return {
            "thresholds": list(THRESHOLDS),
            "defects": self.defects,
            "right_class": _shares(self.right, self.defects),
            "found_as_any_class": _shares(self.found, self.defects),
            "found_by_anomaly": round(self.anomaly_found / max(self.defects, 1), 4),
            "tiles_without_defect": self.tiles_clean,
            "false_tiles": self.false_tiles,
            "clean_strips": self.clean_strips,
            "false_strips": self.false_strips,
            "anomaly_false_tiles": self.anomaly_false_tiles,
            "anomaly_false_strips": self.anomaly_false_strips,
            "highest_defect_probability_on_healthy": round(self.highest_clean, 4),
            "highest_anomaly_on_healthy": round(self.highest_clean_anomaly, 4),
            "missed": self.missed,
        }


def tally(judge: Judge, strips: Iterable[TestStrip], count: int, what: str) -> dict[str, Any]:
    """The figures of `count` strips."""
    counts = Tally()
    for strip in track(strips, total=count, description=what):
        counts.add(strip, *judge.judge(strip.tiles))
    return counts.figures()


def confusion(judge: Judge, tiles: Image, labels: npt.NDArray[np.int64]) -> tuple[float, list[list[int]]]:
    """Accuracy over whole tiles and the matrix: rows are CLASSES as labelled, columns as answered."""
    answers = judge.judge(tiles)[0].argmax(1)
    matrix = np.zeros((len(CLASSES), len(CLASSES)), dtype=np.int64)
    np.add.at(matrix, (labels, answers), 1)
    return float((answers == labels).mean()), [[int(n) for n in row] for row in matrix]


def auroc(healthy: Scores, defective: Scores) -> float:
    """The chance that a defective tile scores above a healthy one."""
    order = np.argsort(np.concatenate([healthy, defective]), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    m, n = len(healthy), len(defective)
    return float((ranks[m:].sum() - n * (n + 1) / 2) / (m * n))


def _shares(counts: list[int], whole: int) -> list[float]:
    return [round(count / max(whole, 1), 4) for count in counts]
