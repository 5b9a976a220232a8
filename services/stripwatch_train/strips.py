"""Test strips cut as the worker cuts them: composed of held-out images, and simulated with unseen seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stripwatch import simulate
from stripwatch.domain.camera import Side
from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.pixels import Image
from stripwatch.simulate.plan import StripPlan
from stripwatch_train.mosaic import laid
from stripwatch_train.neu import SIZE, Neu
from stripwatch_train.split import Rows


@dataclass(frozen=True)
class Placed:
    """A defect, and the tiles of its strip that see something of it: indices into the tiles, most visible first."""

    label: str
    tiles: tuple[int, ...]
    name: str = ""


@dataclass(frozen=True)
class TestStrip:
    """The 200x200 tiles of a strip and what is on it."""

    tiles: Image  # (N, 200, 200) uint8
    defects: tuple[Placed, ...]
    kind: str


def on_grid(neu: Neu, rows: Rows, grounds: Image) -> Iterator[TestStrip]:
    """Each image as one tile of its own, with a healthy tile beside it."""
    for number, row in enumerate(rows):
        tiles = np.stack([neu.images[row], grounds[number % len(grounds)]])
        yield TestStrip(tiles, (Placed(_label(neu, row), (0,), neu.names[row]),), "on grid")


def off_grid(neu: Neu, rows: Rows, grounds: Image, seed: int) -> Iterator[TestStrip]:
    """Each image laid over the corner of four healthy tiles, so that up to four see 0 to 100 % of it."""
    rng = np.random.default_rng(seed)
    for number, row in enumerate(rows):
        down, right = (int(at) for at in rng.integers(0, SIZE, 2))
        ground = grounds[number % len(grounds)]  # one texture under all four
        corners = [(down - dy, right - dx) for dy in (0, SIZE) for dx in (0, SIZE)]
        tiles = [laid(neu.images[row], ground, *at, 0, False) for at in corners]
        shares = [(SIZE - abs(y)) * (SIZE - abs(x)) for y, x in corners]
        order = sorted(range(4), key=lambda at: -shares[at])
        seen = tuple(at for at in order if shares[at] > 0)
        yield TestStrip(np.stack(tiles), (Placed(_label(neu, row), seen, neu.names[row]),), "off grid")


def simulated(seed: int, defects: int | None, length_mm: float = 3000.0, width_mm: float = 500.0) -> TestStrip:
    """A simulated strip cut without overlap; flaws with the tiles that their box touches."""
    plan = simulate.plan_strip(seed, length_mm=length_mm, width_mm=width_mm, defects=defects)
    rows, columns = (extent // SIZE for extent in plan.shape)
    tiles = np.stack([_tile(plan, row, column) for row in range(rows) for column in range(columns)])
    placed: list[Placed] = []
    for flaw in simulate.truth(plan):
        x0, y0 = flaw.box.x_mm / plan.mm_per_px, flaw.box.y_mm / plan.mm_per_px
        x1, y1 = flaw.box.end_x_mm / plan.mm_per_px, flaw.box.end_y_mm / plan.mm_per_px
        touched = [
            (min(x1, (row + 1) * SIZE) - max(x0, row * SIZE)) * (min(y1, (column + 1) * SIZE) - max(y0, column * SIZE))
            if x0 < (row + 1) * SIZE and x1 > row * SIZE and y0 < (column + 1) * SIZE and y1 > column * SIZE
            else 0.0
            for row in range(rows)
            for column in range(columns)
        ]
        order = sorted((at for at, area in enumerate(touched) if area > 0), key=lambda at: -touched[at])
        placed.append(Placed(flaw.label, tuple(order), f"{seed} {flaw.box}"))
    return TestStrip(tiles, tuple(placed), "simulated")


def _tile(plan: StripPlan, row: int, column: int) -> Image:
    return simulate.render(plan, Side.TOP, row * SIZE, SIZE, column * SIZE, SIZE)


def _label(neu: Neu, row: int) -> str:
    return NEU_CLASSES[neu.labels[row]]
