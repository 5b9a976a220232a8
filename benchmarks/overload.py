"""A line that is offered more frames than it can judge: what it judges, how late, what it sheds, how it recovers.

Writes benchmarks/results/overload.json. The classifier spends a fixed time on each tile (fixed_cost.py), so that the
capacity is the same however busy the machine is; it is measured first, by a replay flat out. Each point is one run: a
phase at a multiple of the capacity, then one at half of it, as a line that goes on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import redis
from conditions import conditions, write
from fixed_cost import FixedCostPlan
from small_frames import LINE, Load, write_recipe

from stripwatch.domain.verdict import StripVerdict
from stripwatch.errors import StripwatchError
from stripwatch.local.child import Child
from stripwatch.local.pipeline import Pipeline
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.stream.keys import Keys

MIB = 2**20
SIDE_PX = 128
MS_A_TILE = 4.0
FACTORS = (0.5, 1.0, 2.0, 5.0)
CALM = 0.5
"""The share of the capacity that is offered after the overload."""
LOOK_EVERY_S = 0.01
STUCK_S = 90.0
IN_A_ROW = 25
"""Frames whose median latency must be normal again: one late frame on a busy machine is no overload."""
WARM_S = 2.0
"""Time in which a backlog builds up: not counted into the throughput."""


@dataclass(slots=True)
class Course:
    """One run, looked at every few ms: when each frame was recorded (UTC s), and what Redis held."""

    recorded_at: npt.NDArray[np.float64] = field(default_factory=lambda: np.full(0, np.nan))
    looks: list[tuple[float, int, int, int]] = field(default_factory=list)
    """Time, bytes used, frames waiting, results waiting."""

    def see(self, bits: bytes, now: float) -> None:
        """Takes the bitmap of judged frames; those that are new were recorded by now."""
        judged = np.unpackbits(np.frombuffer(bits, dtype=np.uint8)).astype(bool)
        if len(judged) > len(self.recorded_at):
            more = np.full(len(judged) - len(self.recorded_at), np.nan)
            self.recorded_at = np.concatenate([self.recorded_at, more])
        fresh = np.flatnonzero(judged & np.isnan(self.recorded_at[: len(judged)]))
        self.recorded_at[fresh] = now


class Bench:
    """A pipeline whose classifier has a known capacity, and one run after the other through it."""

    def __init__(self, pipeline: Pipeline, folder: Path, budget_bytes: int) -> None:
        self._pipeline, self._folder = pipeline, folder
        self._redis: Any = redis.Redis.from_url(pipeline.redis_url)
        self._runs = 0
        self.empty_bytes = self.used()
        self.budget_bytes = self.empty_bytes + budget_bytes

    def used(self) -> int:
        return int(self._redis.info("memory")["used_memory"])

    def version(self) -> str:
        return str(self._redis.info("server")["redis_version"])

    def run(
        self, phases: tuple[tuple[float, float], ...], *, live: bool
    ) -> tuple[Course, dict[str, Any], StripVerdict]:
        """The run's course, what its source offered, and its verdict."""
        self._runs += 1
        load = Load(
            redis_url=self._pipeline.redis_url,
            strip=f"load-{self._runs}",
            account=str(self._folder / f"account-{self._runs}.json"),
            phases=phases,
            side_px=SIDE_PX,
            live=live,
            budget_bytes=self.budget_bytes,
        )
        source = self._pipeline.supervisor.start(load.process(f"source-{self._runs}"))
        self._pipeline.supervisor.leave_alone(source.spec.name)
        course = self._follow(load, source)
        self._pipeline.finish(source, 60.0)
        verdict = decode_verdict(self._pipeline.verdict(load.run).event.body)
        return course, json.loads(Path(load.account).read_text(encoding="utf-8")), verdict

    def _follow(self, load: Load, source: Child) -> Course:
        keys, course = Keys(LINE), Course()
        seen, run = keys.seen(load.run, "top-1"), keys.run(load.run)
        ended = 0.0
        while not (source.code == 0 and self._redis.hexists(run, "closed")):
            self._pipeline.sleep(LOOK_EVERY_S)
            if source.code is not None:
                ended = ended or time.monotonic()
                self._refuse_if_hopeless(source, run, time.monotonic() - ended)
            bits = self._redis.get(seen)
            now = time.time()
            if bits:
                course.see(bits, now)
            course.looks.append((now, self.used(), self._redis.xlen(keys.frames), self._redis.xlen(keys.results)))
        return course

    def _refuse_if_hopeless(self, source: Child, run: str, since_s: float) -> None:
        """A source that failed, or a run without its verdict long after its source, is a finding, not a wait."""
        if source.code:
            raise StripwatchError(f"the source {source.reason}: {source.last_words}")
        if since_s > STUCK_S:
            known = {name.decode(): value for name, value in self._redis.hgetall(run).items()}
            words = "; ".join(f"{name}: {one.last_words}" for name, one in self._pipeline.supervisor.children.items())
            raise StripwatchError(f"no verdict {STUCK_S:g} s after its source was through: {known}; {words}")


def point(
    course: Course, offered: dict[str, Any], verdict: StripVerdict, empty_bytes: int, *, live: bool
) -> dict[str, Any]:
    """The figures of one run; AssertionError unless the verdict accounts for every frame that was offered."""
    (camera,) = verdict.cameras
    assert camera.expected == offered["frames"], (camera.expected, offered["frames"])
    assert camera.shed == offered["shed"], (camera.shed, offered["shed"])
    assert camera.judged == offered["sent"], (camera.judged, offered["sent"])
    captured = np.array(offered["captured_at"])
    recorded = np.full(len(captured), np.nan)
    known = min(len(captured), len(course.recorded_at))
    recorded[:known] = course.recorded_at[:known]
    last = int(np.flatnonzero(~np.isnan(recorded))[-1])
    recorded[last:] = course.looks[-1][0]  # recorded after the last look: the bitmap goes with the verdict
    begin, over = captured[0], offered["phase_ends"][0]
    loaded = captured < over
    late = (recorded - captured)[loaded & ~np.isnan(recorded)]
    times, used, frames, results = np.array(course.looks).T
    busy = (times >= begin) & (times < over)  # (looks,)
    judged = np.count_nonzero((recorded >= begin + WARM_S) & (recorded < over))
    return {
        "offered_per_s": round(np.count_nonzero(loaded) / (over - begin), 1),
        "judged_per_s": round(judged / (over - begin - WARM_S), 1),
        "latency_s": quantiles(late),
        "frames": {"offered": camera.expected, "judged": camera.judged, "shed": camera.shed, "lost": camera.never_seen},
        "shed_share": round(np.count_nonzero(np.isnan(recorded[loaded])) / np.count_nonzero(loaded), 4)
        if live
        else 0.0,
        "not_timed": int(camera.judged - np.count_nonzero(~np.isnan(recorded))),
        "backlog_bytes_most": int(used.max() - empty_bytes),
        "backlog_frames_most": int((frames + results)[busy].max()),
        "backlog_frames_median": int(np.median((frames + results)[busy])),
        "_calm": _calm(captured, recorded, over, times, frames + results),
    }


def quantiles(seconds: npt.NDArray[np.float64]) -> dict[str, float]:
    return {name: round(float(np.quantile(seconds, q)), 3) for name, q in (("p50", 0.5), ("p99", 0.99), ("most", 1.0))}


def _calm(
    captured: npt.NDArray[np.float64],
    recorded: npt.NDArray[np.float64],
    over: float,
    times: npt.NDArray[np.float64],
    waiting: npt.NDArray[np.float64],
) -> dict[str, list[float]]:
    """What came after the overload, in seconds from its end: frames with their latency, looks with their backlog."""
    after = captured >= over
    return {
        "captured": (captured[after] - over).tolist(),
        "latency": (recorded - captured)[after].tolist(),
        "looked": (times[times >= over] - over).tolist(),
        "waiting": waiting[times >= over].tolist(),
    }


def recovery(calm: dict[str, list[float]], normal: dict[str, Any]) -> dict[str, float]:
    """Seconds from the end of the overload until the backlog, and the latency of new frames, are as at half load.

    The backlog: no more than the most that waited there; the latency: no more than its 99th percentile there.
    """
    captured, latency = np.array(calm["captured"]), np.array(calm["latency"])
    latency[np.isnan(latency)] = np.inf  # shed
    again = [
        at
        for number, at in enumerate(captured)
        if np.median(latency[number : number + IN_A_ROW]) <= normal["latency_s"]["p99"]
    ]
    looked, waiting = np.array(calm["looked"]), np.array(calm["waiting"])
    short = looked[waiting <= normal["backlog_frames_most"]]
    return {
        "backlog_normal_s": round(float(short[0]), 2) if len(short) else float("nan"),
        "latency_normal_s": round(float(again[0]), 2) if again else float("nan"),
    }


def measure(
    seconds: float, budget_bytes: int, ms_a_tile: float, factors: Sequence[float], folder: Path
) -> dict[str, Any]:
    """Capacity, then every point for a live source and for a replay."""
    env = {"STRIPWATCH_RECIPES": str(write_recipe(folder / "recipes", SIDE_PX))}
    pipeline = Pipeline(folder / "redis", env=env)
    pipeline.plan = FixedCostPlan.of_pipeline(pipeline.plan, ms_a_tile)
    with pipeline:
        bench = Bench(pipeline, folder, budget_bytes)
        flat_out = point(
            *bench.run(((max(WARM_S + 1.0, seconds / 2), 0.0),), live=False), bench.empty_bytes, live=False
        )
        capacity = flat_out["judged_per_s"]
        print(f"capacity {capacity} frames/s", flush=True)
        points: dict[str, dict[str, Any]] = {"live": {}, "replay": {}}
        for kind, of_kind in points.items():
            for factor in factors:
                phases = ((seconds, factor * capacity), (seconds / 2, CALM * capacity))
                one = point(*bench.run(phases, live=kind == "live"), bench.empty_bytes, live=kind == "live")
                calm = one.pop("_calm")
                normal = of_kind.get(f"{factors[0]:g}", one)
                one["over_capacity"] = {
                    "offered": round(one["offered_per_s"] / capacity, 3),
                    "judged": round(one["judged_per_s"] / capacity, 3),
                }
                one["recovery_s"] = recovery(calm, normal)
                of_kind[f"{factor:g}"] = one
                print(kind, factor, json.dumps(one), flush=True)
        return {
            "redis": bench.version(),
            "frame_bytes": SIDE_PX**2,
            "ms_a_tile": ms_a_tile,
            "seconds_a_point": seconds,
            "capacity_per_s": capacity,
            "budget_bytes": budget_bytes,
            "budget_s": round(budget_bytes / SIDE_PX**2 / capacity, 2),
            **points,
        }


def show(result: dict[str, Any]) -> None:
    """A table for a terminal."""
    print(f"capacity {result['capacity_per_s']} frames/s; the budget holds {result['budget_s']} s of it")
    print("source  offered  judged  shed %  p50 s  p99 s  most s  MiB  recovery s (backlog, latency)")
    for kind in ("live", "replay"):
        for factor, one in result[kind].items():
            late, back = one["latency_s"], one["recovery_s"]
            print(
                f"{kind:<7} {factor:>6}x {one['over_capacity']['judged']:>6}x {one['shed_share']:>6.1%} "
                f"{late['p50']:>6} {late['p99']:>6} {late['most']:>6} {one['backlog_bytes_most'] / MIB:>5.1f}  "
                f"{back['backlog_normal_s']}, {back['latency_normal_s']}"
            )


def main() -> None:
    """Runs all points, prints the figures and writes them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="length of the overload of each point")
    parser.add_argument("--budget-mib", type=float, default=4.0, help="what may wait in Redis")
    parser.add_argument("--ms-a-tile", type=float, default=MS_A_TILE)
    parser.add_argument("--out", type=Path, default=None)
    chosen = parser.parse_args()
    before = conditions("make overload", "")
    with tempfile.TemporaryDirectory() as name:
        budget = round(chosen.budget_mib * MIB)
        result = measure(chosen.seconds, budget, chosen.ms_a_tile, FACTORS, Path(name))
    before["redis"] = result.pop("redis")
    write("overload", {**before, "models": "a classifier of fixed cost a tile, asleep meanwhile", **result}, chosen.out)
    show(result)


if __name__ == "__main__":
    main()
