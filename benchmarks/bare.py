"""The bare loop: frames of wide strip in one process for each core, decoded, cut, resized and through both models.

Nothing of the pipeline but its own pixel work and engines: what a frame costs at least. Prints one JSON line.
`python benchmarks/bare.py --models models --classifier steel --anomaly texture --pictures FILE.npy`
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from line_frames import LINE, MM_PER_PX

from stripwatch.domain.camera import Side
from stripwatch.domain.frame import Encoding, FrameHeader, RunId
from stripwatch.domain.recipe import Role
from stripwatch.models.engines import builder
from stripwatch.models.load import LoadedModel, load
from stripwatch.models.manifest import DESCRIPTOR
from stripwatch.models.store import ModelStore
from stripwatch.recipes import default_folders, parse_recipe
from stripwatch_preprocess.plan import Plan
from stripwatch_preprocess.transform import transform

WARM_FRAMES, WARM_S = 180, 2.0
MAX_BATCH = 16
"""As the services run: so many tiles at once, in even parts."""


@dataclass(frozen=True, slots=True)
class Loop:
    """What every worker does."""

    models: str
    classifier: str
    anomaly: str
    engine: str
    pictures: str
    frames_a_batch: int = 6

    def work(self, seconds: float, ready: Any, go: Any, told: Any) -> None:
        """Runs for a while; tells frames, tiles, wall and CPU seconds, and the time of each batch."""
        cv2.setNumThreads(1)
        steel, texture = self._load(self.classifier), self._load(self.anomaly)
        plan = _plan(steel, texture)
        frames = [picture.tobytes() for picture in np.load(self.pictures)]
        shape = np.load(self.pictures, mmap_mode="r").shape[1:]
        for number in range(WARM_FRAMES // self.frames_a_batch):  # so many that OpenVINO compiles for their size
            self._batch(frames, number, shape, plan, steel, texture)
        time.sleep(WARM_S)
        self._batch(frames, 0, shape, plan, steel, texture)
        ready.release()
        go.wait()
        began, cpu, number, took = time.monotonic(), time.process_time(), 0, []
        tiles = 0
        while (before := time.monotonic()) - began < seconds:
            tiles += self._batch(frames, number, shape, plan, steel, texture)
            took.append(time.monotonic() - before)
            number += 1
        told.put((tiles, time.monotonic() - began, time.process_time() - cpu, float(np.median(took))))

    def _load(self, name: str) -> LoadedModel:
        return load(ModelStore([Path(self.models)]).find(name), builder(self.engine), 1)

    def _batch(
        self,
        frames: list[bytes],
        number: int,
        shape: tuple[int, ...],
        plan: Plan,
        steel: LoadedModel,
        texture: LoadedModel,
    ) -> int:
        cut = []
        for at in range(self.frames_a_batch):
            index = number * self.frames_a_batch + at
            cut.append(transform(_header(index, shape), frames[index % len(frames)], plan).inputs[Role.CLASSIFIER])
        tiles = cut[0] if len(cut) == 1 else np.concatenate(cut)  # (N, 1, size, size) uint8
        described = [
            steel.engine.run(part, (DESCRIPTOR,))[1] for part in np.array_split(tiles, -(-len(tiles) // MAX_BATCH))
        ]
        texture.heads[0].run(np.concatenate(described))
        return len(tiles)


def _plan(steel: LoadedModel, texture: LoadedModel) -> Plan:
    recipe = parse_recipe((default_folders()[0] / "hot-rolled.yaml").read_text(encoding="utf-8"))
    return Plan(recipe, {Role.CLASSIFIER: steel.spec, Role.ANOMALY: texture.spec}, {})


def _header(index: int, shape: tuple[int, ...]) -> FrameHeader:
    height, width = shape
    run, place = RunId(LINE, "bare", "a"), index * height * MM_PER_PX
    return FrameHeader(
        run, "top-1", Side.TOP, index, place, 0.0, MM_PER_PX, time.time_ns(), height, width, Encoding.RAW
    )


def measure(loop: Loop, seconds: float, workers: int) -> dict[str, float]:
    """Tiles a second of all workers together, CPU time a tile in µs, and the median seconds of a batch."""
    with multiprocessing.get_context("spawn").Manager() as shared:
        ready, go, told = shared.Semaphore(0), shared.Event(), shared.Queue()
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=loop.work, args=(seconds, ready, go, told)) for _ in range(workers)]
        for process in processes:
            process.start()
        for _ in processes:
            ready.acquire()
        go.set()
        for process in processes:
            process.join()
        answers = [told.get() for _ in processes]
    tiles = sum(answer[0] for answer in answers)
    return {
        "tiles_per_s": round(sum(count / wall for count, wall, _, _ in answers), 1),
        "cpu_us_a_tile": round(sum(cpu for _, _, cpu, _ in answers) / tiles * 1e6, 1),
        "batch_s": round(float(np.median([each for *_, each in answers])), 6),
    }


def main() -> None:
    """Measures once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="models")
    parser.add_argument("--classifier", default="steel")
    parser.add_argument("--anomaly", default="texture")
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--pictures", required=True)
    parser.add_argument("--frames-a-batch", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    loop = Loop(given.models, given.classifier, given.anomaly, given.engine, given.pictures, given.frames_a_batch)
    print(json.dumps(measure(loop, given.seconds, given.workers)))


if __name__ == "__main__":
    main()
