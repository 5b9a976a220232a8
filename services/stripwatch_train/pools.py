"""Pools of tiles that are made once and cached: simulated ones, and healthy NEU.

Simulator seeds 0 to 999,999 are the trainer's; tests, demos and evaluations draw theirs from 1,000,000 on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.progress import track

from stripwatch import simulate
from stripwatch.domain.camera import Side
from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.pixels import Image
from stripwatch.simulate.plan import StripPlan
from stripwatch.simulate.texture import draw_texture
from stripwatch_train.healthy import clear_places, flattened, quilt
from stripwatch_train.neu import MASKED, SIZE, Neu
from stripwatch_train.split import Rows

EVALUATION_SEED = 1_000_000
FLAW_SEEDS = 100_000
_QUILT_SEEDS = 500_000
_USUAL_SCALE = 0.5
_LONG_PX = 4096
_LEAST_PLACES = 300
"""Windows an image must offer before it is quilted: fewer give one block over and over."""


def clean_tile(seed: int) -> Image:
    """Simulated healthy steel, one tile in three at an edge of the strip with up to 3 px of background."""
    rng = np.random.default_rng(seed)
    scale = _USUAL_SCALE if rng.random() < 0.8 else float(rng.uniform(0.35, 0.75))
    texture_seed = int(rng.integers(0, 1 << 62))
    width = int(rng.integers(600, _LONG_PX))
    plan = StripPlan(texture_seed, _LONG_PX * scale, width * scale, scale, draw_texture(texture_seed), ())
    row, column = int(rng.integers(0, _LONG_PX - SIZE)), int(rng.integers(0, width - SIZE))
    edge = rng.integers(0, 8)
    if edge in (0, 1):
        column = (0, width - SIZE)[edge] + int(rng.integers(-3, 4))
    elif edge == 2:
        row = int(rng.integers(-3, 4))
    side = Side.TOP if rng.random() < 0.5 else Side.BOTTOM
    return simulate.render(plan, side, row, SIZE, column, SIZE)


def flaw(seed: int, label: int, min_visible: float) -> Image:
    """A tile with one flaw of NEU_CLASSES[label]."""
    return simulate.flaw_tile(np.random.default_rng(seed), NEU_CLASSES[label], min_visible=min_visible)[0]


def simulated_clean(cache: Path, count: int, first: int = 0) -> Image:
    """(count, 200, 200) healthy tiles of the seeds from `first` on."""
    return _cached(cache, f"clean-{count}-{first}", count, lambda at: clean_tile(first + at))


def simulated_flaws(cache: Path, each: int, min_visible: float, first: int = FLAW_SEEDS) -> Image:
    """(6, each, 200, 200) tiles with one flaw, in the order of NEU_CLASSES."""

    def tile(at: int) -> Image:
        return flaw(first + at, at // each, min_visible)

    flat = _cached(cache, f"flaws-{each}-{min_visible}-{first}", each * len(NEU_CLASSES), tile)
    return flat.reshape(len(NEU_CLASSES), each, SIZE, SIZE)


def quilted(cache: Path, neu: Neu, rows: Rows, each: int) -> tuple[Image, Rows]:
    """Healthy tiles of the masked classes' images among `rows`, `each` per image, and the image each comes from."""
    chosen: list[tuple[int, Rows]] = []
    for row in rows:
        if NEU_CLASSES[neu.labels[row]] in MASKED:
            places = clear_places(neu.images[row], neu.defects[row])
            if len(places) >= _LEAST_PLACES:
                chosen.append((int(row), places))
    key = hashlib.sha256(repr([row for row, _ in chosen]).encode() + neu.sha256.encode()).hexdigest()[:12]

    def tile(at: int) -> Image:
        row, places = chosen[at % len(chosen)]
        return quilt(flattened(neu.images[row], neu.defects[row]), places, np.random.default_rng(_QUILT_SEEDS + at))

    tiles = _cached(cache, f"quilted-{key}-{each}", each * len(chosen), tile)
    return tiles, np.array([chosen[at % len(chosen)][0] for at in range(len(tiles))], dtype=np.int64)


def _cached(cache: Path, name: str, count: int, make: Callable[[int], Image]) -> Image:
    """(count, 200, 200) tiles from the cache, or made and kept; the key covers the simulator's source."""
    file = cache / f"{name}-{simulator_hash()[:10]}.npy"
    if file.is_file():
        return np.asarray(np.load(file, mmap_mode="r"))
    tiles = np.empty((count, SIZE, SIZE), dtype=np.uint8)
    for at in track(range(count), description=name):
        tiles[at] = make(at)
    np.save(file, tiles)
    return tiles


def simulator_hash() -> str:
    """SHA-256 of the part of the simulator that makes pixels: other texture needs other tiles."""
    digest = hashlib.sha256()
    for name in ("flaws", "noise", "plan", "render", "shapes", "texture", "tiles"):
        digest.update((Path(simulate.__file__).parent / f"{name}.py").read_bytes())
    return digest.hexdigest()
