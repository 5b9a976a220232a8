"""Training batches: whole images, mosaics, healthy steel and simulated flaws, each varied as cameras and light vary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from stripwatch.domain.defect import HEALTHY, NEU_CLASSES
from stripwatch.pixels import Image, resize
from stripwatch_train.mosaic import laid, offset, visible_label
from stripwatch_train.neu import SIZE, Neu
from stripwatch_train.split import Rows

CLASSES = (HEALTHY, *NEU_CLASSES)
SHARES = {"whole": 0.27, "mosaic": 0.27, "clean": 0.12, "quilted": 0.07, "healthy_mosaic": 0.07, "flaw": 0.20}
"""What a batch is made of."""
HARD_SHARES = {"hard_clean": 0.16, "hard_flaw": 0.16}
"""What is added once the hard tiles are known."""

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Stock:
    """What batches are drawn from; `rows` are the NEU images that may be seen."""

    neu: Neu
    rows: Rows
    clean: Image  # (n, 200, 200)
    quilted: Image  # (n, 200, 200)
    flaws: Image  # (6, n, 200, 200)
    hard_clean: Image | None = None  # (n, 200, 200)
    hard_flaws: tuple[Image, Labels] | None = None  # (n, 200, 200) and indices into CLASSES

    @property
    def shares(self) -> dict[str, float]:
        """What a batch drawn from this stock is made of."""
        return SHARES if self.hard_clean is None else SHARES | HARD_SHARES

    def ground(self, rng: np.random.Generator) -> Image:
        """A healthy tile, simulated or real."""
        pool = self.clean if rng.random() < 0.6 else self.quilted
        return np.asarray(pool[rng.integers(len(pool))])

    def draw(self, kind: str, rng: np.random.Generator) -> tuple[Image, int]:
        """A 200x200 tile of this kind and its label, an index into CLASSES."""
        label = 0
        if kind == "mosaic":
            tile, label = self.mosaic(rng)
        elif kind == "whole":
            row = int(rng.choice(self.rows))
            tile, label = self.neu.images[row], int(self.neu.labels[row]) + 1
        elif kind == "flaw":
            label = int(rng.integers(1, len(CLASSES)))
            tile = self.flaws[label - 1, rng.integers(self.flaws.shape[1])]
        elif kind == "hard_flaw" and self.hard_flaws is not None:
            at = int(rng.integers(len(self.hard_flaws[0])))
            tile, label = self.hard_flaws[0][at], int(self.hard_flaws[1][at])
        elif kind == "hard_clean" and self.hard_clean is not None:
            tile = self.hard_clean[rng.integers(len(self.hard_clean))]
        elif kind == "healthy_mosaic":
            tile = mixed(self.ground(rng), self.ground(rng), offset(rng, 0.05), rng)
        else:
            pool = self.quilted if kind == "quilted" else self.clean
            tile = pool[rng.integers(len(pool))]
        return np.asarray(tile), label

    def mosaic(self, rng: np.random.Generator) -> tuple[Image, int]:
        """A mosaic of which it is clear what it shows, and its label."""
        while True:
            row, place = int(rng.choice(self.rows)), offset(rng, 0.1)
            label = visible_label(int(self.neu.labels[row]), self.neu.defects[row], *place)
            if label is not None:
                return mixed(self.neu.images[row], self.ground(rng), place, rng), label + 1


def mixed(image: Image, ground: Image, place: tuple[int, int], rng: np.random.Generator) -> Image:
    """One mosaic: in half of them the border is sharp, in six of ten the light is matched."""
    feather = 0 if rng.random() < 0.5 else int(rng.integers(2, 24))
    return laid(image, ground, *place, feather, bool(rng.random() < 0.6))


def varied(tile: Image, rng: np.random.Generator, size: int) -> Image:
    """A (size, size) view: flipped, other light, now and then a slope of light, blur, a slight zoom, and noise."""
    rows, columns = (int(step) for step in rng.choice([-1, 1], 2))
    view = np.ascontiguousarray(tile[::rows, ::columns])
    if rng.random() < 0.3:
        margin = int(rng.integers(0, 17))
        top, left = (int(at) for at in rng.integers(0, margin + 1, 2))
        view = np.ascontiguousarray(view[top : top + SIZE - margin, left : left + SIZE - margin])
    if rng.random() < 0.1:
        view = np.asarray(cv2.GaussianBlur(view, (0, 0), float(rng.uniform(0.4, 0.9))), dtype=np.uint8)
    small = resize(view, size).astype(np.float32)
    if rng.random() < 0.75:
        middle = float(small.mean())
        small = (small - middle) * float(rng.uniform(0.75, 1.3)) + middle * float(rng.uniform(0.8, 1.2))
        small += float(rng.uniform(-20, 20))
    if rng.random() < 0.25:
        slope = rng.uniform(-12, 12, 2)
        ramp = np.linspace(-1, 1, size, dtype=np.float32)
        small += np.float32(slope[0]) * ramp[:, None] + np.float32(slope[1]) * ramp[None, :]
    if rng.random() < 0.4:
        small += rng.standard_normal(small.shape, dtype=np.float32) * np.float32(rng.uniform(0.3, 3.5))
    return np.asarray(np.clip(np.rint(small), 0, 255), dtype=np.uint8)


def batches(stock: Stock, count: int, size: int, batch: int, seed: int) -> Iterator[tuple[Image, Labels]]:
    """`count` batches of (batch, 1, size, size) uint8 tiles and (batch,) labels."""
    rng = np.random.default_rng(seed)
    kinds, shares = list(stock.shares), np.array(list(stock.shares.values()))
    for _ in range(count):
        x = np.empty((batch, 1, size, size), dtype=np.uint8)
        y = np.empty(batch, dtype=np.int64)
        for at, kind in enumerate(rng.choice(len(kinds), batch, p=shares / shares.sum())):
            tile, y[at] = stock.draw(kinds[kind], rng)
            x[at, 0] = varied(tile, rng, size)
        yield x, y
