"""Strips composed of held-out NEU images on healthy steel, written as the frames of one camera."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stripwatch import simulate
from stripwatch.domain.box import Box
from stripwatch.domain.camera import Side
from stripwatch.domain.defect import Defect
from stripwatch.pixels import Image
from stripwatch_train.healthy import clear_places, flattened, quilt
from stripwatch_train.neu import MASKED, SIZE, Neu

MM_PER_PX = 0.5
COLUMNS = 4
"""Tiles across the strip."""
BESIDE_PX = 40
"""Dark background beside each edge."""
PITCH = 3
"""Tiles along the strip for each image: the image, and healthy steel around it."""
GROUND_SEED = 2_000_000


@dataclass(frozen=True, slots=True)
class Laid:
    """One held-out image on a strip: its class and its place in mm."""

    name: str
    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class ComposedStrip:
    """A strip as an image (rows along it) and what was laid on it."""

    name: str
    pixels: Image
    laid: tuple[Laid, ...]

    def write(self, folder: Path) -> Path:
        """One PNG a frame of 200 rows."""
        home = folder / self.name
        home.mkdir(parents=True)
        for index in range(self.pixels.shape[0] // SIZE):
            cv2.imwrite(str(home / f"{index:05}.png"), self.pixels[index * SIZE : (index + 1) * SIZE])
        return home


def compose(
    neu: Neu, rows: Sequence[int], *, on_grid: bool, per_strip: int = 20, seed: int = 0
) -> Iterator[ComposedStrip]:
    """All images of `rows`, shuffled, `per_strip` a strip; off the grid up to four tiles share each of them."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(np.asarray(rows))
    grounds = _healthy_sources(neu, rows)
    for number in range(0, len(shuffled), per_strip):
        chosen = shuffled[number : number + per_strip]
        strip = number // per_strip
        if strip % 2:
            pixels = _simulated_ground(GROUND_SEED + strip, len(chosen) * PITCH * SIZE)
        else:
            pixels = _quilted_ground(neu, grounds, rng, len(chosen) * PITCH)
        laid = [_lay(neu, int(row), pixels, at, rng, on_grid=on_grid) for at, row in enumerate(chosen)]
        beside = np.random.default_rng(strip).integers(0, 9, (pixels.shape[0], 2 * BESIDE_PX), dtype=np.uint8)
        whole = np.hstack([beside[:, :BESIDE_PX], pixels, beside[:, BESIDE_PX:]])
        yield ComposedStrip(f"{'on' if on_grid else 'off'}-{strip}", whole, tuple(laid))


def _lay(neu: Neu, row: int, pixels: Image, at: int, rng: np.random.Generator, *, on_grid: bool) -> Laid:
    """Puts the image into its own piece of the strip, never across into the next one's."""
    if on_grid:
        top, left = at * PITCH * SIZE + SIZE, int(rng.integers(0, COLUMNS)) * SIZE
    else:
        top = at * PITCH * SIZE + int(rng.integers(SIZE // 2, SIZE * 3 // 2))
        left = int(rng.integers(0, (COLUMNS - 1) * SIZE))
    pixels[top : top + SIZE, left : left + SIZE] = neu.images[row]
    name = neu.names[row]
    box = Box(top * MM_PER_PX, (left + BESIDE_PX) * MM_PER_PX, SIZE * MM_PER_PX, SIZE * MM_PER_PX)
    return Laid(name, name.rpartition("_")[0], box)


def _simulated_ground(seed: int, length_px: int) -> Image:
    width_px = COLUMNS * SIZE
    plan = simulate.plan_strip(
        seed, length_mm=length_px * MM_PER_PX, width_mm=width_px * MM_PER_PX, mm_per_px=MM_PER_PX, defects=0
    )
    return simulate.render(plan, Side.TOP, 0, length_px, 0, width_px)


def _healthy_sources(neu: Neu, rows: Sequence[int]) -> list[tuple[int, np.ndarray]]:
    """Held-out images with enough defect-free windows to quilt a texture from."""
    sources = []
    for row in rows:
        if neu.names[row].rpartition("_")[0] in MASKED:
            places = clear_places(neu.images[row], neu.defects[row])
            if len(places) >= 300:
                sources.append((int(row), places))
    return sources


def _quilted_ground(neu: Neu, sources: list[tuple[int, np.ndarray]], rng: np.random.Generator, tiles: int) -> Image:
    """Healthy NEU steel: every `COLUMNS` tiles of length from another image, seams only where frames meet."""
    pieces = []
    for _ in range(-(-tiles // COLUMNS)):
        row, places = sources[int(rng.integers(len(sources)))]
        pieces.append(quilt(flattened(neu.images[row], neu.defects[row]), places, rng, size=COLUMNS * SIZE))
    return np.vstack(pieces)[: tiles * SIZE].copy()


def matches(laid: Laid, defects: Sequence[Defect], tile_mm: float) -> tuple[bool, bool]:
    """(found, right): whether a defect lies on the image, and whether one of its class does within a tile around it."""
    near = Box(
        laid.box.x_mm - tile_mm,
        laid.box.y_mm - tile_mm,
        laid.box.length_mm + 2 * tile_mm,
        laid.box.width_mm + 2 * tile_mm,
    )
    on = [one for one in defects if one.box.overlap_mm2(laid.box) > 0]
    inside = [one for one in on if one.box.overlap_mm2(near) >= one.box.area_mm2 - 1]
    return bool(on), any(one.label == laid.label for one in inside)


def stray(laid: Sequence[Laid], defects: Sequence[Defect], tile_mm: float) -> int:
    """Defects further than a tile from everything that was laid."""
    return sum(not any(one.box.touches(image.box, tile_mm) for image in laid) for one in defects)
