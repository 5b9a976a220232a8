"""The look of healthy hot-rolled steel: oxide grain, streaks along the strip, and slow changes of brightness."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import hypot, sqrt

import numpy as np

from stripwatch.domain.camera import Side
from stripwatch.simulate import noise
from stripwatch.simulate.noise import UNIT, Grey

ONE = 1024
"""Grey values are whole multiples of 1/1024 until the very end, so that no sum depends on its order."""

STEP = 32
"""Rows and columns of px between the knots of what changes slowly."""

_STREAK_KNOTS, _STREAK_COLUMNS = 509, 4093
_SLOW_KNOTS = 16381


@dataclass(frozen=True, slots=True)
class Texture:
    """What one coil's healthy steel looks like; grey levels where no unit is given.

    `grain`, `streak`, `profile`, `drift`, `stain` and `noise` are standard deviations; `falloff` is how much darker
    the edges of the strip are than its middle; `roll` is the depth of the mark that comes back every `roll_mm`.
    """

    seed: int
    mean: float
    grain: float
    grain_mm: float
    stretch: int
    """Which of `noise.STRETCHES` the coarser grain has."""
    mottle: float
    streak: float
    streak_mm: float
    profile: float
    drift: float
    falloff: float
    stain: float
    roll: float
    roll_mm: float
    noise: float

    @property
    def contrast(self) -> float:
        """Standard deviation within a few mm, in grey levels: what a flaw has to stand out from."""
        return hypot(self.grain, self.mottle, 0.7 * self.streak, self.noise)


def draw_texture(seed: int) -> Texture:
    """The texture of a seed; its parameters vary as widely as coils do."""
    rng = np.random.Generator(np.random.PCG64([seed, 1]))
    mean = between(rng, 70, 190)
    contrast = 3.0 * between(rng, 1.0, 2.6) ** 2 * min(1.0, (mean + 30) / 160)  # 3 to 20: dark steel shows less of it
    streaky = between(rng, 0.1, 0.8)
    grain_mm = between(rng, 0.6, 1.7)
    return Texture(
        seed=seed,
        mean=mean,
        grain=contrast * (1 - 0.5 * streaky),
        grain_mm=grain_mm,
        stretch=int(rng.integers(0, 3)),
        mottle=contrast * between(rng, 0.0, 0.25),
        streak=contrast * streaky * between(rng, 0.3, 0.8),
        streak_mm=between(rng, 1.0, 6.0),
        profile=between(rng, 1.0, 0.08 * mean),
        drift=between(rng, 0.5, 5.0),
        falloff=between(rng, 0.0, 0.3) * mean,
        stain=between(rng, 0.0, 2.5),
        roll=between(rng, 0.0, 0.5) * contrast,
        roll_mm=between(rng, 900.0, 2400.0),
        noise=between(rng, 0.5, 1.5),
    )


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform number, by the arithmetic that is the same on every platform."""
    return low + (high - low) * float(rng.random())


@lru_cache(maxsize=64)
def offsets(seed: int, side: Side) -> tuple[int, ...]:
    """Where in the noise fields a side of a strip starts; (2 * 12,) px."""
    rng = np.random.Generator(np.random.PCG64([seed, 2, list(Side).index(side)]))
    return tuple(int(offset) for offset in rng.integers(0, 1 << 20, size=24))


def scaled(grey: float) -> int:
    """The factor that gives a noise field this standard deviation in grey levels."""
    return round(grey * ONE / UNIT)


def healthy(
    texture: Texture, side: Side, mm_per_px: float, columns: int, place: tuple[int, int], shape: tuple[int, int]
) -> Grey:
    """A window of healthy steel of a strip `columns` px wide, in 1/1024 grey: (height, width) int32."""
    at = offsets(texture.seed, side)
    grey = lit(texture, at, mm_per_px, columns, place, shape)
    for number, (octave, stretch, grey_levels) in enumerate(grain_mix(texture, mm_per_px)):
        field = noise.window(noise.grain(octave, stretch), place[0] + at[number], place[1] + at[number + 1], *shape)
        grey += field.astype(np.int32) * scaled(grey_levels)
    roll(grey, texture, at, mm_per_px, place)
    return grey


@lru_cache(maxsize=64)
def grain_mix(texture: Texture, mm_per_px: float) -> tuple[tuple[int, int, float], ...]:
    """Octave, stretch and grey levels of the parts of the grain, and of the mottling."""
    octave = noise.octave_of(texture.grain_mm / mm_per_px)
    lower = min(int(octave), len(noise.WIDTHS) - 3)
    part = octave - lower
    parts = (
        (lower, 0, 1.0 - 0.5 * part),
        (lower + 1, 0, 0.4 + 0.3 * part),
        (lower + 1, texture.stretch, 0.4),
        (lower + 2, texture.stretch, 0.15 + 0.25 * part),
    )
    total = sqrt(sum(share * share for _, _, share in parts))
    grain = tuple((level, stretch, texture.grain * share / total) for level, stretch, share in parts)
    return *grain, (round(noise.octave_of(8.0 / mm_per_px)), 0, texture.mottle)


def lit(
    texture: Texture,
    at: tuple[int, ...],
    mm_per_px: float,
    columns: int,
    place: tuple[int, int],
    shape: tuple[int, int],
) -> Grey:
    """All that changes slowly along the strip: light, profile, streaks, stains; knots every `STEP` rows."""
    (row, column), (height, width) = place, shape
    first = row // STEP
    count = (row + height - 1) // STEP - first + 2
    knots = np.empty((count, width), dtype=np.int32)
    knots[:] = across(texture, at, mm_per_px, columns, column, width)
    fine = min(int(noise.octave_of(texture.streak_mm / mm_per_px / 2) + 0.5), len(noise.WIDTHS) - 3)
    for number, (octave, share) in enumerate(((fine, 0.8), (fine + 2, 0.6))):
        field = noise.slow(_STREAK_KNOTS, _STREAK_COLUMNS, 2 + 3 * number, noise.WIDTHS[octave])
        streaks = noise.window(field, first + at[8 + number], column + at[10 + number], count, width)
        knots += streaks.astype(np.int32) * scaled(texture.streak * share)
    drift = noise.window(noise.slow(1, _SLOW_KNOTS, 1, 9), 0, first + at[12], 1, count)
    knots += drift[0].astype(np.int32)[:, None] * scaled(texture.drift)
    knots += stains(at, first, count, column, width) * scaled(texture.stain)

    index, part = np.divmod(np.arange(row, row + height), STEP)
    index -= first
    rise = (knots[1:] - knots[:-1]) // STEP
    return np.asarray(knots[index] + rise[index] * part.astype(np.int32)[:, None], dtype=np.int32)


def stains(at: tuple[int, ...], first: int, count: int, column: int, width: int) -> Grey:
    """Dried water: faint soft shapes, (count, width), 0 to 96."""
    left = column // STEP
    cells = (column + width - 1) // STEP - left + 2
    knots = noise.window(noise.slow(251, 241, 7, 3), first + at[14], left + at[15], count, cells).astype(np.int32)
    knots = np.clip(knots - 16, 0, 96)
    index, part = np.divmod(np.arange(column, column + width), STEP)
    index -= left
    rise = knots[:, 1:] - knots[:, :-1]
    return np.asarray(knots[:, index] + rise[:, index] * part.astype(np.int32) // STEP, dtype=np.int32)


def across(texture: Texture, at: tuple[int, ...], mm_per_px: float, columns: int, column: int, width: int) -> Grey:
    """What does not change along the strip: the light's fall-off, cooling, and darker edges; (width,) int32."""
    y = np.arange(column, column + width)
    from_middle = (2 * y - columns) / columns  # -1 at the operator-side edge, 1 at the other
    edge_px = np.minimum(y, columns - 1 - y)
    edge = np.clip(1.0 - edge_px * (mm_per_px / 4.0), 0.0, 1.0)
    grey = texture.mean - texture.falloff * (from_middle**2 - 0.33) - 0.25 * texture.mean * edge**2
    profile = (np.rint(grey * ONE)).astype(np.int32)
    for number, (box_mm, share) in enumerate(((20.0, 0.5), (60.0, 0.85))):
        field = noise.slow(1, _SLOW_KNOTS - 8 * number, 1, max(1, round(box_mm / mm_per_px)))
        profile += noise.window(field, 0, column + at[16 + number], 1, width)[0].astype(np.int32) * scaled(
            texture.profile * share
        )
    return profile


def roll(grey: Grey, texture: Texture, at: tuple[int, ...], mm_per_px: float, place: tuple[int, int]) -> None:
    """Adds the faint mark that a roll leaves once a turn, in place."""
    turn = round(texture.roll_mm / mm_per_px)
    half = max(2, round(12.0 / mm_per_px))
    phase = (np.arange(place[0], place[0] + grey.shape[0]) + at[18]) % turn - half  # (height,)
    near = np.flatnonzero(np.abs(phase) < half)
    if near.size == 0:
        return
    bump = (half * half - phase[near] ** 2) * 256 // (half * half)  # 0 to 256
    field = noise.slow(1, _SLOW_KNOTS, 1, max(1, round(10.0 / mm_per_px)))
    mark = noise.window(field, 0, place[1] + at[19], 1, grey.shape[1])[0].astype(np.int32) * scaled(texture.roll)
    grey[near] += (bump.astype(np.int32)[:, None] * mark[None, :]) >> 8
