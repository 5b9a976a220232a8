"""The six kinds of flaw as reliefs: what each does to the grey of the steel around it.

Every shape is (height, width) int32, in 1/256 of the flaw's contrast: negative where the steel is darker. Sizes are
given in the px of 0.5 mm that the NEU images have, and scaled by `unit`.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.simulate import noise
from stripwatch.simulate.noise import UNIT, Grey
from stripwatch.simulate.texture import between

Mask = npt.NDArray[np.uint8]
Random = np.random.Generator
_SUB = 3
"""Bits below a whole px in coordinates that are drawn."""


def field(rng: Random, shape: tuple[int, int], size_px: float) -> npt.NDArray[np.float64]:
    """Noise of about this grain with standard deviation 1, at a random place."""
    octave = round(noise.octave_of(size_px))
    row, column = (int(offset) for offset in rng.integers(0, 4096, size=2))
    return noise.window(noise.grain(octave), row, column, *shape) / float(UNIT)


def dome(shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """1 in the middle, 0 where the sides' middles are, below 0 in the corners."""
    r = (2 * np.arange(shape[0]) + 1) / shape[0] - 1
    c = (2 * np.arange(shape[1]) + 1) / shape[1] - 1
    return np.asarray(1 - np.abs(r * r * r)[:, None] - np.abs(c * c * c)[None, :])


def rim(shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """1 at the sides and quickly 0 away from them."""
    r, c = (((2 * np.arange(size) + 1) / size - 1) ** 2 for size in shape)
    r, c = r * r * r * r, c * c * c * c
    return np.asarray(np.maximum(r[:, None], c[None, :]))


def scatter(rng: Random, shape: tuple[int, int], count: int, clustering: float, size_px: float) -> Grey:
    """Up to `count` places inside the dome, denser where a noise field is high; (n, 2) rows and columns."""
    places = np.floor(rng.random((count, 2)) * np.array(shape)).astype(np.int32)
    keep = 1.5 * dome(shape) + clustering * (field(rng, shape, size_px) + 0.5 * field(rng, shape, size_px / 3) - 0.4)
    kept = keep[places[:, 0], places[:, 1]] > rng.random(count) * 0.9
    return np.asarray(places[kept], dtype=np.int32)


def soft(mask: Mask) -> Grey:
    """A drawn mask with the blur of a lens, in 1/256."""
    return np.asarray(cv2.GaussianBlur(mask, (3, 3), 0.6), dtype=np.int32)


def crazing(rng: Random, shape: tuple[int, int], unit: float) -> Grey:
    """A network of fine dark cracks that run mostly across the strip, and branch."""
    per_crack = between(rng, 110, 300) * unit * unit
    starts = scatter(rng, shape, int(shape[0] * shape[1] / per_crack) + 12, 0.6, 17 * unit)
    cracks = np.zeros(shape, dtype=np.uint8)
    for strength, start in zip(np.sort(rng.integers(70, 256, size=len(starts))), starts, strict=True):
        at = start[::-1] * float(1 << _SUB)
        for _ in range(1 + int(rng.random() < 0.4)):  # a branch leaves from within its crack
            path = at + unit * crack(rng)
            points = [np.rint(path).astype(np.int32)]
            cv2.polylines(cracks, points, False, int(strength), max(1, round(0.8 * unit)), cv2.LINE_AA, _SUB)
            at = path[len(path) // 2]
    rough = np.clip(dome(shape) * 3, 0, 1) * (field(rng, shape, 2 * unit) * 20 + field(rng, shape, 9 * unit) * 14)
    return np.rint(rough - soft(cracks) * (1 - rim(shape))).astype(np.int32)


def crack(rng: Random) -> npt.NDArray[np.int64]:
    """The jagged way of one crack from its start, in 1/8 px: (steps, 2) columns and rows."""
    steps = int(rng.integers(6, 28))
    forward = rng.integers(4, 20, size=steps) * (1 if rng.random() < 0.5 else -1)
    lean = rng.integers(-12, 13, size=steps) + int(rng.integers(-5, 6))
    lean[rng.random(steps) < 0.12] *= 3
    if rng.random() < 0.12:
        forward, lean = lean // 2, forward
    return np.asarray(np.cumsum(np.stack([forward, lean], axis=1), axis=0), dtype=np.int64)


def inclusion(rng: Random, shape: tuple[int, int], unit: float) -> Grey:
    """Dark thin blotches drawn out along the strip: a chain of slivers or one ragged streak."""
    height, width = shape
    relief = np.zeros(shape, dtype=np.float64)
    ragged = 0.75 * field(rng, shape, 9 * unit) + 0.5 * field(rng, shape, 2 * unit)
    columns = np.arange(width)[None, :]
    slivers = 1 if rng.random() < 0.3 else int(rng.integers(3, 10))
    for number in range(slivers):
        if slivers == 1:
            top, length, middle, half = 0, height, width / 2, between(rng, 2.5, 6.0) * unit
        else:
            length = min(height, int(between(rng, 10, 50) * unit + 0.25 * height * rng.random()))
            top = (0, height - length)[number] if number < 2 else int(rng.integers(0, height - length + 1))
            half = between(rng, 1.2, 3.6) * unit
            middle = between(rng, min(half, width / 2), max(width - half, width / 2))
        t = (np.arange(length) + 0.5) / length
        spindle = np.minimum(1.0, 5.0 * t * (1 - t))[:, None]
        wander = np.cumsum(rng.random(length) - 0.5)[:, None] * 0.25 * unit
        rows = slice(top, top + length)
        reach = half * spindle * (1 + 0.35 * ragged[rows]) - np.abs(columns - middle - wander)
        depth = between(rng, 0.7, 1.0) * np.clip(reach / max(1.0, 0.8 * unit) + 0.4, 0, 1)
        relief[rows] = np.maximum(relief[rows], depth)
    return -np.rint(relief * (256 + 30 * ragged)).astype(np.int32)


def patches(rng: Random, shape: tuple[int, int], unit: float) -> Grey:
    """Large blotches with ragged, fading borders."""
    blotch = min(min(shape) / between(rng, 2.0, 5.0), 33 * unit)
    score = 1.2 * dome(shape) - between(rng, 0.2, 0.6) + 0.55 * field(rng, shape, blotch)
    score += 0.12 * field(rng, shape, 5 * unit) + 0.12 * field(rng, shape, 2 * unit)
    score -= 2.0 * rim(shape)
    depth = np.clip(score * between(rng, 1.0, 2.6), 0, 1) * (1 + 0.12 * field(rng, shape, 9 * unit))
    return -np.rint(depth * 256).astype(np.int32)


def pitted_surface(rng: Random, shape: tuple[int, int], unit: float) -> Grey:
    """A field of many small dark pits on roughened steel."""
    per_pit = between(rng, 22, 80) * unit * unit
    pits = np.zeros(shape, dtype=np.uint8)
    largest = between(rng, 1.4, 3.2)
    drawn_out = between(rng, 1.0, 2.0)
    for row, column in scatter(rng, shape, int(shape[0] * shape[1] / per_pit) + 12, 0.6, 33 * unit):
        radius = (0.8 + (largest - 0.8) * between(rng, 0, 1) * between(rng, 0, 1)) * unit * (1 << _SUB)
        axes = (max(4, round(radius)), max(4, round(radius * drawn_out)))
        centre = (int(column) << _SUB, int(row) << _SUB)
        turn = int(rng.integers(-20, 21))
        cv2.ellipse(pits, centre, axes, turn, 0, 360, int(rng.integers(110, 256)), -1, cv2.LINE_AA, _SUB)
    rough = np.clip(dome(shape) * 3, 0, 1) * field(rng, shape, 2 * unit) * 24
    return np.rint(rough).astype(np.int32) - soft(pits)


def rolled_in_scale(rng: Random, shape: tuple[int, int], unit: float) -> Grey:
    """Scale pressed into the steel: short dark flakes with bright lower rims on mottled ground."""
    per_flake = between(rng, 110, 300) * unit * unit
    dark, bright = np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=np.uint8)
    tilt = int(rng.integers(-25, 26))
    for row, column in scatter(rng, shape, int(shape[0] * shape[1] / per_flake) + 12, 1.0, 17 * unit):
        axes = (between(rng, 2.0, 7.0) * unit * (1 << _SUB), between(rng, 0.7, 2.2) * unit * (1 << _SUB))
        size = (max(6, round(axes[0])), max(4, round(axes[1])))
        turn, strength = tilt + int(rng.integers(-18, 19)), int(rng.integers(110, 256))
        centre = (int(column) << _SUB, int(row) << _SUB)
        below = (centre[0] + int(rng.integers(-8, 9)), centre[1] + round(axes[1]) + 8)
        cv2.ellipse(bright, below, size, turn, 0, 360, strength * 5 // 8, -1, cv2.LINE_AA, _SUB)
        cv2.ellipse(dark, centre, size, turn, 0, 360, strength, -1, cv2.LINE_AA, _SUB)
    mottled = np.clip(dome(shape) * 3, 0, 1) * (field(rng, shape, 3 * unit) + field(rng, shape, 7 * unit)) * 28
    return np.rint(mottled).astype(np.int32) - soft(dark) + np.where(dark > 0, 0, soft(bright))


def scratches(rng: Random, shape: tuple[int, int], unit: float) -> Grey:
    """Thin straight lines along the longer side, or from corner to corner where the shape is wide both ways."""
    height, width = shape
    lines = np.zeros(shape, dtype=np.uint8)
    lengthwise = height >= width
    long, wide = max(shape), min(shape)
    slanted = wide > long * 0.3
    mirrored = rng.random() < 0.5
    for number in range(1 if slanted else max(1, min(int(rng.integers(1, 6)), round(wide / (5 * unit))))):
        start = 0.0 if number == 0 else between(rng, 0, 0.5) * long
        end = float(long) if number == 0 else start + between(rng, 0.3, 1.0) * (long - start)
        place = between(rng, 0.2, 0.8) * wide
        pieces = max(2, round((end - start) / (6 * unit)))
        t = np.arange(pieces + 1) / pieces
        side = t * wide if slanted else place + (rng.random() - 0.5) * t * min(3.0 * unit, wide * 0.3)
        side = wide - side if mirrored else side
        bend = 4 * t * (1 - t) * between(rng, -0.04, 0.04) * (long if slanted else 0.0)
        path = np.stack([side + bend, start + t * (end - start)], axis=1)
        path = path if lengthwise else path[:, ::-1]
        points = np.rint(path * (1 << _SUB)).astype(np.int32)
        strength = np.clip(200 + 24 * np.cumsum(rng.integers(-2, 3, size=pieces)), 150, 255)
        fading = np.where(rng.random(pieces) < 0.08, 0.4, np.minimum(1.0, 0.4 + 8 * t[1:] * (1 - t[:-1])))
        thickness = max(1, round(float(rng.choice([1, 1, 2, 2, 3])) * unit))
        for begin, finish, value in zip(points[:-1], points[1:], strength * fading, strict=True):
            cv2.line(lines, begin.tolist(), finish.tolist(), int(value), thickness, cv2.LINE_AA, _SUB)
    halo = cv2.GaussianBlur(lines, (9, 9), 2.0).astype(np.int32)
    return np.maximum(soft(lines), halo // 2)


SHAPES: dict[str, Callable[[Random, tuple[int, int], float], Grey]] = dict(
    zip(NEU_CLASSES, (crazing, inclusion, patches, pitted_surface, rolled_in_scale, scratches), strict=True)
)
