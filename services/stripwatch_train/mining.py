"""The tiles that a first training gets wrong or nearly so: the second one sees them more often."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.pixels import Image
from stripwatch_train.batches import Labels
from stripwatch_train.classifier import SteelNet, logits_of
from stripwatch_train.evaluate import shrunk
from stripwatch_train.pools import clean_tile, flaw, simulator_hash

CLEAN_SEEDS = (10_000, 24_000)
SECOND_CLEAN_SEEDS = (40_000, 12_000)
THIRD_CLEAN_SEEDS = (70_000, 16_000)
FLAW_SEEDS = (200_000, 4_000)
SECOND_FLAW_SEEDS = (300_000, 8_000)
FOURTH_CLEAN_SEEDS = (400_000, 6_000)
THIRD_FLAW_SEEDS = (420_000, 3_000)
"""First simulator seed and how many are looked at."""
KEEP_CLEAN = 1500
KEEP_FLAWS = 800
_MIN_VISIBLE = 0.25


def hard_clean(
    net: SteelNet, size: int, cache: Path, seeds: tuple[int, int] = CLEAN_SEEDS, keep: int = KEEP_CLEAN
) -> Image:
    """(keep, 200, 200) healthy simulated tiles that look most like a defect to `net`."""
    seeds_kept = hardest(net, size, seeds, clean_tile, lambda _: 0, keep, cache, "clean")
    return np.stack([clean_tile(seed) for seed in seeds_kept])


def hard_flaws(net: SteelNet, size: int, cache: Path, seeds: tuple[int, int] = FLAW_SEEDS) -> tuple[Image, Labels]:
    """(800, 200, 200) simulated flaws of whose class `net` is least sure, and their labels."""

    def label(seed: int) -> int:
        return seed % len(NEU_CLASSES)

    def tile(seed: int) -> Image:
        return flaw(seed, label(seed), _MIN_VISIBLE)

    kept = hardest(net, size, seeds, tile, lambda seed: label(seed) + 1, KEEP_FLAWS, cache, "flaws")
    return np.stack([tile(seed) for seed in kept]), np.array([label(seed) + 1 for seed in kept])


def hardest(
    net: SteelNet,
    size: int,
    seeds: tuple[int, int],
    tile: Callable[[int], Image],
    truth: Callable[[int], int],
    keep: int,
    cache: Path,
    what: str,
) -> list[int]:
    """The `keep` seeds whose tiles get the least probability of their true class, remembered in the cache."""
    weights = torch.cat([value.flatten().float() for value in net.state_dict().values()])
    file = cache / f"hard-{what}-{simulator_hash()[:10]}-{float(weights.abs().sum()):.6f}.npy"
    if file.is_file():
        return [int(seed) for seed in np.load(file)]
    worst: list[tuple[float, int]] = []
    starts = range(seeds[0], sum(seeds), 64)
    for start in track(starts, description=f"hard {what}"):
        batch = list(range(start, min(start + 64, sum(seeds))))
        with torch.autocast("cpu", torch.bfloat16):
            logits = logits_of(net, shrunk(np.stack([tile(seed) for seed in batch]), size))
        sure = torch.softmax(logits.float(), 1).numpy()
        for row, seed in zip(sure, batch, strict=True):
            heapq.heappush(worst, (-float(row[truth(seed)]), seed))
            if len(worst) > keep:
                heapq.heappop(worst)
    chosen = sorted(seed for _, seed in worst)
    np.save(file, np.array(chosen))
    return chosen
