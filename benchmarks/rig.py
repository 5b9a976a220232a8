"""The pipeline under a load of wide strip: one run after the other, each with its throughput, CPU time and latency."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import redis
from conditions import ROOT
from line_frames import LINE, MM_PER_PX, TILE_PX, LineLoad, draw

from stripwatch.domain.recipe import Cutting, Role
from stripwatch.domain.verdict import StripVerdict
from stripwatch.errors import StripwatchError
from stripwatch.local.child import Child
from stripwatch.local.pipeline import Pipeline
from stripwatch.ports import frames_in
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.sizing.profile import write_recipe
from stripwatch.stream.keys import Keys

LOOK_EVERY_S = 0.004
SAMPLE_EVERY_S = 0.5
STUCK_S = 60.0
WARM = 0.15
"""Share of a run's frames after which its throughput counts: its start is none of a frame's cost."""
BACKLOG_BYTES = 96 << 20
"""What may wait in Redis of a replay."""
WARM_FRAMES = 250
"""So many that OpenVINO has compiled for the size of their batches before anything counts."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A recipe and the models behind it."""

    name: str
    classifier: str
    anomaly: str
    models: Path = ROOT / "models"
    send_mm_per_px: float = 0.0
    """In which pixels frames are sent: a tile of 100 mm is cut from them. 0: as they come."""

    def write_recipe(self, folder: Path) -> None:
        """The shipped recipe with these models in the place of its own, or what lies beside the models."""
        folder.mkdir(parents=True, exist_ok=True)
        if (ready := self.models / "recipes" / f"{self.name}.yaml").is_file():
            shutil.copy(ready, folder)
            return
        tile_px = round(TILE_PX * MM_PER_PX / self.send_mm_per_px) if self.send_mm_per_px else TILE_PX
        models = {Role.CLASSIFIER: self.classifier, Role.ANOMALY: self.anomaly}
        write_recipe(self.name, models, Cutting(tile_px, tile_px), folder)


ACCURATE = Profile("accurate", "steel", "texture")
FAST = Profile("fast", "steel-fast", "texture-fast")
COARSE = Profile("coarse", "steel-fast", "texture-fast", send_mm_per_px=1.5625)
"""As fast, but frames are shrunk before they are sent, so that a tile is of the model's own 64 px."""
SHIPPED = (ACCURATE, FAST, COARSE)


@dataclass(slots=True)
class Run:
    """What one run gave: when each frame was recorded (UTC s) by camera, and the CPU seconds of each process."""

    load: LineLoad
    tiles_a_frame: int
    recorded_at: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    samples: list[tuple[float, int, dict[str, float]]] = field(default_factory=list)
    """Time, frames judged, CPU seconds by process."""
    offered: dict[str, Any] = field(default_factory=dict)
    verdict: StripVerdict | None = None
    verdict_at: float = 0.0
    most_waiting: int = 0

    @property
    def tiles_per_s(self) -> float:
        (began, first, _), (ended, last, _) = self.samples[0], self.samples[-1]
        return (last - first) * self.tiles_a_frame / (ended - began)

    @property
    def cpu_us_a_tile(self) -> dict[str, float]:
        """CPU time a tile of each process, and of all."""
        (_, first, before), (_, last, after) = self.samples[0], self.samples[-1]
        tiles = (last - first) * self.tiles_a_frame
        each = {name: round((after[name] - before.get(name, 0.0)) / tiles * 1e6, 1) for name in after}
        return {"all": round(sum(each.values()), 1), **each}

    @property
    def latency_s(self) -> npt.NDArray[np.float64]:
        """From capture to recorded result, of every frame that has one."""
        late = [
            self.recorded_at[name][: len(captured)] - np.array(captured)
            for name, captured in self.offered["captured_at"].items()
        ]
        together = np.concatenate(late)
        known: npt.NDArray[np.float64] = together[~np.isnan(together)]
        return known


class Rig:
    """A running pipeline for one profile, and loads through it."""

    def __init__(self, pipeline: Pipeline, profile: Profile, pictures: npt.NDArray[np.uint8], folder: Path) -> None:
        self._pipeline, self._profile, self._folder = pipeline, profile, folder
        self._redis: Any = redis.Redis.from_url(pipeline.redis_url)
        self.pictures = folder / "pictures.npy"
        np.save(self.pictures, pictures)
        self._tiles = pictures.shape[2] // TILE_PX
        self._runs = 0
        self._empty = self.used()

    def used(self) -> int:
        return int(self._redis.info("memory")["used_memory"])

    def version(self) -> str:
        return str(self._redis.info("server")["redis_version"])

    @property
    def pipeline(self) -> Pipeline:
        return self._pipeline

    def run(self, frames: int, *, look_every_s: float = LOOK_EVERY_S, **kind: Any) -> Run:
        """One run to its verdict; AssertionError unless the verdict accounts for every frame that was offered.

        Each look is a command to Redis, which also wakes its timers: whoever measures latency looks rarely.
        """
        self._runs += 1
        load = LineLoad(
            redis_url=self._pipeline.redis_url,
            strip=f"{self._profile.name}-{self._runs}",
            account=str(self._folder / "account.json"),
            pictures=str(self.pictures),
            frames=frames,
            recipe=self._profile.name,
            send_mm_per_px=self._profile.send_mm_per_px,
            **{"budget_bytes": self._empty + BACKLOG_BYTES, **kind},
        )
        source = self._pipeline.supervisor.start(load.process(f"source-{self._runs}"))
        self._pipeline.supervisor.leave_alone(source.spec.name)
        run = self._follow(load, source, look_every_s)
        self._pipeline.finish(source, 60.0)
        run.verdict = decode_verdict(self._pipeline.verdict(load.run).event.body)
        run.verdict_at = run.verdict.decided_at_ns / 1e9
        run.offered = json.loads(Path(load.account).read_text(encoding="utf-8"))
        del self._pipeline.supervisor.children[source.spec.name]
        balanced(run)
        return run

    def _follow(self, load: LineLoad, source: Child, look_every_s: float) -> Run:
        keys, run = Keys(LINE), Run(load, self._tiles)
        names = [name for name, _ in load.cameras]
        run.recorded_at = {name: np.full(load.frames, np.nan) for name in names}
        total, moved, before = load.frames * len(names), time.monotonic(), -1
        warm = max(1, round(WARM * total))
        while True:
            now = time.time()
            pipe = self._redis.pipeline(transaction=False)
            pipe.hexists(keys.run(load.run), "closed")
            pipe.xlen(keys.frames)
            for name in names:
                pipe.get(keys.seen(load.run, name))
            closed, waiting, *bits = pipe.execute()
            if closed:
                for seen in run.recorded_at.values():
                    seen[np.isnan(seen)] = now
                if len(run.samples) == 1 and not load.live:  # over before a second look
                    run.samples.append((now, total, run.samples[0][2] | self._cpu()))
                return run
            done = 0
            for name, seen in zip(names, bits, strict=True):
                judged = frames_in(seen or b"")
                done += len(judged)
                fresh = judged[np.isnan(run.recorded_at[name][judged])]
                run.recorded_at[name][fresh] = now
            run.most_waiting = max(run.most_waiting, int(waiting))
            if done >= warm and (not run.samples or done == total or now > run.samples[-1][0] + SAMPLE_EVERY_S):
                before_that = run.samples[-1][2] if run.samples else {}
                run.samples.append((now, done, before_that | self._cpu()))  # the source may have ended
            if done != before:
                before, moved = done, time.monotonic()
            elif time.monotonic() - moved > STUCK_S or (source.code or 0) > 0:
                raise StripwatchError(f"nothing moves any more: {self._pipeline.supervisor.last_words()}")
            time.sleep(look_every_s)

    def _cpu(self) -> dict[str, float]:
        spent = {}
        for name, child in self._pipeline.supervisor.children.items():
            try:
                times = psutil.Process(child.pid).cpu_times()
            except psutil.NoSuchProcess:
                continue
            spent["source" if name.startswith("source") else name] = times.user + times.system
        return spent


def balanced(run: Run) -> None:
    """AssertionError unless every frame that was offered has its outcome in the verdict."""
    assert run.verdict is not None
    expected = sum(camera.expected for camera in run.verdict.cameras)
    assert expected == run.load.frames * len(run.load.cameras), (expected, run.load)
    assert sum(camera.shed for camera in run.verdict.cameras) == run.offered["shed"]
    assert sum(camera.judged for camera in run.verdict.cameras) == run.offered["sent"]


@contextmanager
def rig(
    profile: Profile,
    folder: Path,
    env: Mapping[str, str],
    pictures: npt.NDArray[np.uint8] | None = None,
    *,
    workers: int = 1,
    classifiers: int = 1,
) -> Iterator[Rig]:
    """A pipeline with these settings for all its services, warm; what they say goes to `services.log` in the folder."""
    profile.write_recipe(folder / "recipes")
    settings = {"STRIPWATCH_MODELS": str(profile.models), "STRIPWATCH_RECIPES": str(folder / "recipes"), **env}
    with (
        (folder / "services.log").open("w") as log,
        Pipeline(
            folder / "redis",
            env=settings,
            workers=workers,
            classifiers=classifiers,
            sink=lambda name, text: print(name, text, file=log, flush=True),
        ) as pipeline,
    ):
        made = Rig(pipeline, profile, draw() if pictures is None else pictures, folder)
        made.run(WARM_FRAMES)
        yield made
