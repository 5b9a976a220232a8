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
from pathlib import Path
from typing import Any

import redis
from conditions import conditions, write
from course import WARM_S, Course, point, recovery
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
            words = self._pipeline.supervisor.last_words()
            raise StripwatchError(f"no verdict {STUCK_S:g} s after its source was through: {known}; {words}")


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
