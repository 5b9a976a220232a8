"""Periodic noise: the few fields that all textures and flaws are mixed from.

Fields are made with integers only (uniform integers, box filters by cumulative sums), so that a seed gives the same
pixels on every platform. Their periods are different primes: a sum of several has no period that anyone will meet.
"""

from __future__ import annotations

from functools import lru_cache
from math import isqrt

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.int8]
Grey = npt.NDArray[np.int32]

UNIT = 32
"""Standard deviation of every field; values are clipped to ±127, four of it."""

WIDTHS = (1, 2, 3, 5, 9, 17, 33)
"""Box widths in px of the octaves; three passes of width w blur like a Gaussian of sqrt((w² - 1) / 4) px."""

STRETCHES = ((1, 1), (4, 1), (1, 3))
"""How far the grain is stretched along and across the strip: round, along, across."""

_PERIODS = (1031, 887, 947, 1013, 797, 971, 853, 919, 1033, 827, 991, 863, 937, 1009, 811, 977, 881, 953, 1021, 839)
_SEED = 20260
_AT_ONCE = 64
"""Rows or columns that are worked on together: a whole field at once would take a dozen times its memory meanwhile."""


def blurred(noise: Grey, width: int, axis: int) -> Grey:
    """Three passes of a periodic box filter, rescaled so that int32 never overflows."""
    if width == 1:
        return noise
    values = np.empty_like(noise)
    for part in _parts(noise.shape[1 - axis]):
        place = (part, slice(None)) if axis else (slice(None), part)
        values[place] = _passes(noise[place], width, axis)
    return values


def _passes(values: Grey, width: int, axis: int) -> Grey:
    for _ in range(3):
        head = np.take(values, range(width), axis=axis, mode="wrap")
        tail = np.cumsum(np.concatenate([values, head], axis=axis, dtype=np.int64), axis=axis)
        size = values.shape[axis]
        summed = np.take(tail, range(width, size + width), axis=axis) - np.take(tail, range(size), axis=axis)
        values = (summed // max(1, width // 2)).astype(np.int32)
    return values


def to_unit(noise: Grey) -> Field:
    """The noise centred and scaled to a standard deviation of `UNIT`."""
    mean = int(noise.sum(dtype=np.int64)) // noise.size
    squares = sum(int(np.square(noise[rows].astype(np.int64) - mean).sum()) for rows in _parts(len(noise)))
    spread = max(1, isqrt(squares * 256 // noise.size))  # 1/16 of a step
    unit = np.empty(noise.shape, dtype=np.int8)
    for rows in _parts(len(noise)):
        centred = noise[rows].astype(np.int64) - mean
        unit[rows] = np.clip(centred * (UNIT * 16) // spread, -127, 127)
    return unit


def _parts(size: int) -> list[slice]:
    return [slice(at, at + _AT_ONCE) for at in range(0, size, _AT_ONCE)]


@lru_cache(maxsize=64)
def grain(octave: int, stretch: int = 0) -> Field:
    """One octave of grain, about 900 x 900 px, periodic in both directions."""
    number = octave * len(STRETCHES) + stretch
    shape = (_PERIODS[number % len(_PERIODS)], _PERIODS[(number + 8) % len(_PERIODS)])
    rng = np.random.Generator(np.random.PCG64([_SEED, number]))
    noise = rng.integers(-4096, 4097, size=shape, dtype=np.int32)
    along, across = STRETCHES[stretch]
    return to_unit(blurred(blurred(noise, WIDTHS[octave] * along, 0), WIDTHS[octave] * across, 1))


@lru_cache(maxsize=32)
def slow(rows: int, columns: int, along: int, across: int) -> Field:
    """A field of `rows` x `columns` blurred by boxes of `along` x `across`; for streaks, stains and profiles."""
    rng = np.random.Generator(np.random.PCG64([_SEED, rows, columns, along, across]))
    noise = rng.integers(-4096, 4097, size=(rows, columns), dtype=np.int32)
    return to_unit(blurred(blurred(noise, along, 0), across, 1))


def window(field: Field, row: int, column: int, height: int, width: int) -> Field:
    """Any window of a periodic field, as (height, width)."""
    rows, columns = field.shape
    row, column = row % rows, column % columns
    if row + height <= rows and column + width <= columns:
        return field[row : row + height, column : column + width]
    picked = field[np.arange(row, row + height) % rows]
    return np.take(picked, np.arange(column, column + width), axis=1, mode="wrap")


def octave_of(size_px: float) -> float:
    """Where a grain size in px lies between the octaves, 0 to `len(WIDTHS) - 1`."""
    return float(np.interp(size_px, WIDTHS, range(len(WIDTHS))))
