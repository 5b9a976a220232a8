"""Tiles as a bad day shows them, for training: one to three disturbances of random kind and strength."""

from __future__ import annotations

import numpy as np

from stripwatch.pixels import Image
from stripwatch_train.disturbances import Plane, compressed, defocused, exposed, noisy, rounded, smeared, uneven

_MOST = 3


def roughened(tile: Image, rng: np.random.Generator) -> Image:
    """A (H, W) tile disturbed in the order in which a camera does it: light, optics, motion, sensor, file."""
    chosen = set(rng.choice(len(_KINDS), int(rng.integers(1, _MOST + 1)), replace=False).tolist())
    view = tile.astype(np.float32)
    for number, kind in enumerate(_KINDS):
        if number in chosen:
            view = kind(view, rng)
    return rounded(view)


def _exposed(view: Plane, rng: np.random.Generator) -> Plane:
    return exposed(view, rng, float(np.exp(rng.uniform(np.log(0.5), np.log(1.5)))))


def _uneven(view: Plane, rng: np.random.Generator) -> Plane:
    return uneven(view, rng, float(rng.uniform(0.15, 0.5)))


def _defocused(view: Plane, rng: np.random.Generator) -> Plane:
    return defocused(view, rng, float(rng.uniform(0.6, 2.2)))


def _smeared(view: Plane, rng: np.random.Generator) -> Plane:
    length = int(rng.integers(3, 12))
    return smeared(view, rng, length) if rng.random() < 0.8 else smeared(view.T, rng, length).T


def _noisy(view: Plane, rng: np.random.Generator) -> Plane:
    return noisy(view, rng, float(rng.uniform(18, 36)))


def _compressed(view: Plane, rng: np.random.Generator) -> Plane:
    return compressed(np.ascontiguousarray(view), rng, int(rng.integers(20, 70)))


_KINDS = (_exposed, _uneven, _defocused, _smeared, _noisy, _compressed)
