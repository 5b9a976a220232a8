"""How many cameras at a wanted frame rate hold on this machine, and what the most that held cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import stripwatch
from stripwatch.domain.frame import MAX_PIXELS
from stripwatch.domain.recipe import Cutting
from stripwatch.errors import BadInput, StripwatchError
from stripwatch.local import Pipeline
from stripwatch.local.child import Sink
from stripwatch.models.settings import ModelServiceSettings
from stripwatch.runtime.settings import load
from stripwatch.sizing.demand import tiles_in
from stripwatch.sizing.machine import this_machine
from stripwatch.sizing.pictures import draw_pictures
from stripwatch.sizing.profile import MODELS, Judges, Profile, write_recipe
from stripwatch.sizing.rates import SERVICES, Rates, TileBytes
from stripwatch.sizing.search import most
from stripwatch.sizing.trial import Trial, Trials

MM_PER_PX = 0.5
PICTURES, PICTURE_BYTES = 16, 64 << 20
"""Frames that are drawn and sent in turn: fewer of large ones, but two at least."""
DEFECTS = 1
"""On all pictures together: a flagged tile costs a picture, and few tiles of a strip are flagged."""
SEED = 4_000_000
WARM_FRAMES = 60
PATIENCE = 4
"""Frames that wait for so many times the p99 bound are shed: the trial has failed, and its backlog shall end."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Cameras of `rate` frames of `height_px` x `width_px` a second, results of 99 of 100 within `p99_ms`."""

    rate: float
    profile: Profile
    height_px: int
    width_px: int
    tile_px: int
    p99_ms: float
    seconds: float
    workers: int = 1
    classifiers: int = 1
    durable: bool = True
    limit: int = 1024

    def __post_init__(self) -> None:
        if self.height_px * self.width_px > MAX_PIXELS:
            raise BadInput(f"frame: expected at most {MAX_PIXELS} px, got {self.height_px} x {self.width_px}")

    @property
    def tiles_per_frame(self) -> int:
        return tiles_in(self.height_px, self.width_px, self.tile_px, self.tile_px)

    @property
    def frames(self) -> int:
        """Of each camera, in one trial."""
        return max(1, round(self.rate * self.seconds))

    @property
    def command(self) -> str:
        """What asks for it."""
        words = f"--rate {self.rate:g} --profile {self.profile.value} --height-px {self.height_px} "
        words += f"--width-px {self.width_px} --tile-px {self.tile_px} --p99-ms {self.p99_ms:g} "
        words += f"--seconds {self.seconds:g} --workers {self.workers} --classifiers {self.classifiers}"
        return f"stripwatch density {words}{'' if self.durable else ' --no-durable'}"


@dataclass(frozen=True, slots=True)
class Density:
    """`cameras` hold; all trials in the order they were made, and what the largest that held cost."""

    cameras: int
    trials: tuple[Trial, ...]
    rates: Rates


def find_density(wanted: Wanted, judges: Judges, folder: Path, sink: Sink, told: Callable[[Trial], None]) -> Density:
    """Starts a pipeline, tries numbers of cameras, stops it; `told` hears of each trial.

    StripwatchError if not even one camera holds.
    """
    cutting = Cutting(wanted.tile_px, wanted.tile_px)
    recipe = write_recipe(wanted.profile.value, MODELS[wanted.profile], cutting, folder / "recipes")
    pictures = folder / "pictures.npy"
    np.save(pictures, _pictures(wanted))
    tried: dict[int, Trial] = {}
    with Pipeline(
        folder / "redis",
        env={"STRIPWATCH_RECIPES": str(folder / "recipes")},
        workers=wanted.workers,
        classifiers=wanted.classifiers,
        durable=wanted.durable,
        sink=sink,
    ) as pipeline:
        trials = Trials(pipeline, folder)
        same = {"pictures": str(pictures), "recipe": recipe, "mm_per_px": MM_PER_PX}

        def holds(cameras: int) -> bool:
            tried[cameras] = trials.run(
                **same,
                cameras=cameras,
                frames=wanted.frames,
                rate=wanted.rate,
                budget_s=PATIENCE * wanted.p99_ms / 1000,
            )
            told(tried[cameras])
            return tried[cameras].holds(wanted.p99_ms)

        try:
            trials.run(**same, cameras=1, frames=WARM_FRAMES, rate=0.0, live=False)
            cameras = most(holds, wanted.limit)
            redis = trials.redis_version()
        finally:
            trials.close()
    if not cameras:
        raise StripwatchError(_too_slow(wanted, tried[1]))
    return Density(cameras, tuple(tried.values()), _rates(wanted, judges, tried[cameras], redis))


def _pictures(wanted: Wanted) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return draw_pictures(
        SEED,
        height_px=wanted.height_px,
        width_px=wanted.width_px,
        mm_per_px=MM_PER_PX,
        pictures=max(2, min(PICTURES, PICTURE_BYTES // (wanted.height_px * wanted.width_px))),
        defects=DEFECTS,
    )


def _too_slow(wanted: Wanted, trial: Trial) -> str:
    faster = "" if wanted.profile is Profile.FAST else f" or --profile {Profile.FAST.value}"
    return (
        f"one camera of {wanted.rate:g} frames/s ({wanted.tiles_per_frame} tiles each) is more than this machine holds "
        f"with profile {wanted.profile.value}: {trial.lost} of {trial.offered} frames lost, p99 {trial.p99_ms:,.0f} ms "
        f"(at most {wanted.p99_ms:g}); take a lower --rate, smaller frames{faster}, or allow a larger --p99-ms"
    )


def _rates(wanted: Wanted, judges: Judges, trial: Trial, redis: str) -> Rates:
    tiles = trial.judged * wanted.tiles_per_frame
    pixels = trial.judged * wanted.height_px * wanted.width_px
    settings = load(ModelServiceSettings)
    return Rates(
        measured_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        command=wanted.command,
        stripwatch=stripwatch.__version__,
        redis=redis,
        machine=this_machine(),
        models={"classifier": str(judges.classifier.ref), "anomaly": str(judges.anomaly.ref)},
        engines=dict(trial.engines),
        engine_workers=settings.engine_workers,
        engine_threads=settings.engine_threads,
        workers=wanted.workers,
        classifiers=wanted.classifiers,
        durable=wanted.durable,
        height_px=wanted.height_px,
        width_px=wanted.width_px,
        tile_px=wanted.tile_px,
        cameras=trial.cameras,
        rate=wanted.rate,
        seconds=wanted.seconds,
        p99_ms=trial.p99_ms,
        tiles_per_s=trial.cameras * wanted.rate * wanted.tiles_per_frame,
        cpu_us_a_tile=_costs(trial.cpu_s, tiles),
        bytes_a_tile=TileBytes(
            redis_in=round(max(0.0, (trial.redis_in - pixels) / tiles), 1),
            redis_out=round(max(0.0, (trial.redis_out - pixels) / tiles), 1),
            **judges.bytes_a_tile(),
        ),
    )


def _costs(cpu_s: Mapping[str, float], tiles: int) -> dict[str, float]:
    return {service: round(cpu_s[service] / tiles * 1e6, 1) for service in SERVICES}
