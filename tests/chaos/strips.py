"""The strips that chaos runs are made of: a small pool, so that each one's true verdict is worked out only once."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Encoding, FrameHeader, RunId
from stripwatch.domain.strip import CameraEnd, RunStart

LINE = "line1"
HEIGHT, WIDTH = 100, 150
TILE = 50
MM = 0.5
LIVE_DEADLINE_S = 5.0
DARK, BRIGHT = 60, 190

RECIPE_NAME = "chaos"
RECIPE = f"""
name: {RECIPE_NAME}
version: "1"
models: {{classifier: steel, anomaly: texture}}
required: [classifier, anomaly]
healthy: [healthy]
classes: {{scratches: {{confidence: 0.9, review_per_m2: 0, reject_per_m2: 10000, reject_size_mm: 300}}}}
other: {{confidence: 0.9, review_per_m2: 0}}
anomaly: {{threshold: 1.5, min_tiles: 2, unknown_below: 0.6, usual_below: 0.85, review_per_m2: 0}}
cutting: {{tile_px: {TILE}, stride_px: {TILE}, background: 24}}
exclusion: {{edge_mm: 0, head_mm: 0, tail_mm: 0}}
min_coverage: 0.99
merge_gap_mm: 1
"""


@dataclass(frozen=True, slots=True)
class Strip:
    """A strip as its cameras see it: which frames are there, which are no image, where a tile is bright."""

    name: str
    frames: int
    cameras: tuple[str, ...] = ("top-1",)
    broken: frozenset[int] = frozenset()
    absent: frozenset[int] = frozenset()
    """Indices that the cameras skip and nobody declares."""
    flaws: frozenset[int] = frozenset()
    recipe: str = RECIPE_NAME
    ended: bool = True

    def start(self, run: RunId, *, live: bool) -> RunStart:
        cameras = tuple(Camera(name, _side(name), HEIGHT * MM, WIDTH * MM) for name in self.cameras)
        return RunStart(run, cameras, self.recipe, WIDTH * MM, None, 1_000, live=live)

    def end(self, run: RunId, camera: str) -> CameraEnd:
        return CameraEnd(run, camera, self.frames)

    def indices(self) -> list[int]:
        """Those that are sent, of each camera."""
        return [index for index in range(self.frames) if index not in self.absent]

    def header(self, run: RunId, camera: str, index: int) -> FrameHeader:
        encoding = Encoding.PNG if index in self.broken else Encoding.RAW
        where = (_side(camera), index, index * HEIGHT * MM, 0.0, MM, 5_000)
        return FrameHeader(run, camera, *where, HEIGHT, WIDTH, encoding)

    def pixels(self, camera: str, index: int) -> bytes:
        if index in self.broken:
            return f"{self.name} {camera} {index} is no image".encode()
        return _pixels(self.name, camera, index, index in self.flaws)


@functools.lru_cache(maxsize=4096)
def _pixels(name: str, camera: str, index: int, flawed: bool) -> bytes:
    rng = np.random.default_rng([index, *f"{name}{camera}".encode()])
    image = rng.normal(DARK, 5, (HEIGHT, WIDTH))
    if flawed:
        column = TILE * int(rng.integers(0, WIDTH // TILE))
        image[:TILE, column : column + TILE] += BRIGHT - DARK
    return image.clip(30, 255).astype(np.uint8).tobytes()


def _side(camera: str) -> Side:
    return Side(camera.partition("-")[0])


_BOTH = ("top-1", "bottom-1")

POOL = {
    strip.name: strip
    for strip in (
        Strip("none", 0),
        Strip("one", 1),
        Strip("short", 12, flaws=frozenset({4})),
        Strip("plain", 40),
        Strip("long", 60, flaws=frozenset({0, 7, 30, 58})),
        Strip("both", 25, _BOTH, flaws=frozenset({3, 20})),
        Strip("broken", 24, broken=frozenset({3, 4, 11}), flaws=frozenset({8})),
        Strip("gaps", 20, absent=frozenset({5, 6, 14}), flaws=frozenset({9})),
        Strip("rough", 20, _BOTH, broken=frozenset({2}), absent=frozenset({11, 12}), flaws=frozenset({5, 17})),
        Strip("nobodys", 8, recipe="nobodys"),
        Strip("endless", 15, flaws=frozenset({6}), ended=False),
    )
}
"""Strips by name. `endless` never ends, so only its deadline does; nobody has the recipe of `nobodys`."""
