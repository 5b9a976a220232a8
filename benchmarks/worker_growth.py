"""The transport by workers: a service that only waits, so that more workers mean more frames until something is full.

All workers are started once. Those that a point does without are stopped (SIGSTOP) while nothing waits, which takes a
process out without the minute that 64 starts take on two cores.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from fixed_cost import FixedCostPlan
from metered import SIDE_PX, Cost, Metered, metered
from strip_series import Series
from trend import against, interleaved, medians
from watch import MIB

from stripwatch.local.pipeline import Pipeline

MS_A_REQUEST = 100.0
TILES_A_REQUEST = 16
"""One request a worker at a time: on its own it does 160 frames a second at most."""
IN_HAND = 2 * TILES_A_REQUEST
"""Frames a worker holds: a full request waits while one is under way, or pieces of one would go out in turn."""
BACKLOG_BYTES = 64 * MIB
"""More than all workers hold."""
FULL_PER_S = 2_400
"""About what the transport does on two cores; only the length of the runs goes by it."""
QUIET_S = 0.6
"""After so long a stopped worker's blocking read is over: an entry can no longer be given to it."""
START_S = 400.0
NICE = 10
"""How far the workers stand back: 64 of them on two cores would keep source and Redis, which elsewhere have their own,
from the processor, and then take frames one by one as they trickle in."""


@dataclass(frozen=True, slots=True)
class Point:
    """So many workers at work."""

    workers: int
    frames: int

    def __str__(self) -> str:
        return str(self.workers)

    @classmethod
    def of(cls, workers: int, seconds: float) -> Point:
        """With frames for about so many seconds."""
        alone = TILES_A_REQUEST / MS_A_REQUEST * 1000
        held = 5 * workers * IN_HAND  # or the steady part would end with hands half empty
        return cls(workers, max(held, round(min(workers * alone, FULL_PER_S) * seconds)))


class Workers:
    """The workers of a pipeline, of which some work and the others stand still."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._names = pipeline.plan.of("preprocess")
        for name in self._names:
            process = psutil.Process(pipeline.supervisor.children[name].pid)
            process.nice(min(19, process.nice() + NICE))

    def work(self, count: int) -> None:
        """So many work from now on. Only while no entry waits."""
        children = self._pipeline.supervisor.children
        for number, name in enumerate(self._names):
            children[name].send(signal.SIGCONT if number < count else signal.SIGSTOP)
        time.sleep(QUIET_S)


def worker_growth(counts: Sequence[int], rounds: int, seconds: float, folder: Path) -> dict[str, Any]:
    """CPU a frame and frames a second by workers, the ceiling and what it is made of, and the memory of all of them."""
    env = {
        "STRIPWATCH_RECIPES": str(folder / "recipes"),
        "STRIPWATCH_BATCH_TILES": str(TILES_A_REQUEST),
        "STRIPWATCH_PREFETCH": str(IN_HAND),
        "STRIPWATCH_IN_FLIGHT": "1",
    }
    pipeline = Pipeline(folder / "redis", env=env, workers=max(counts))
    pipeline.plan = FixedCostPlan.of_pipeline(pipeline.plan, 0.0, MS_A_REQUEST)
    points = [Point.of(count, seconds) for count in counts]
    with metered(pipeline, folder / "recipes", start_s=START_S, backlog_bytes=BACKLOG_BYTES) as meter:
        workers = Workers(pipeline)
        try:
            found = interleaved(points, rounds, lambda point: _measure(meter, workers, point))
            workers.work(max(counts))
            memory = meter.memory()
        finally:
            workers.work(max(counts))  # a stopped process cannot be told to end
    middle = {str(point): medians(found[str(point)]) for point in points}
    return {
        "ms_a_request": MS_A_REQUEST,
        "tiles_a_request": TILES_A_REQUEST,
        "requests_a_worker": 1,
        "frames_in_hand_of_a_worker": IN_HAND,
        "niceness_of_workers": NICE,
        "points": {str(one): {"frames": one.frames, **middle[str(one)], "rounds": found[str(one)]} for one in points},
        "cpu_against_one_worker": against(found, "all", str(points[0])),
        "throughput_against_one_worker": against(found, "frames_per_s", str(points[0])),
        "ceiling": ceiling(middle),
        "memory_of_all": memory,
    }


def _measure(meter: Metered, workers: Workers, point: Point) -> Cost:
    workers.work(point.workers)
    return meter.steady(Series(point.frames))


def ceiling(middle: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """The most that any number of workers took, how much of the machine that was, and who would be full next.

    A process that is there once is full at one core: with more cores than here that is the end.
    """
    best = max(middle, key=lambda workers: middle[workers]["frames_per_s"])
    most = middle[best]
    once = {kind: 1e6 / most[kind] for kind in ("redis", "aggregator", "source") if most[kind]}
    first = min(once, key=lambda kind: once[kind])
    cores = os.cpu_count() or 1
    return {
        "workers": int(best),
        "frames_per_s": most["frames_per_s"],
        "mb_per_s": round(most["frames_per_s"] * SIDE_PX**2 / 1e6, 2),
        "cores_busy": most["cores"],
        "cores": cores,
        "full": "the machine's cores" if most["cores"] > 0.9 * cores else "none: the workers wait for the service",
        "full_next": first,
        "full_next_at_frames_per_s": round(once[first]),
    }
