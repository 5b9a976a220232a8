"""What grows: CPU time a frame by length of strip, cameras and workers, memory, and a verdict's cost by its defects.

Writes benchmarks/results/growth.json. Small frames and tiny models, so that the cost is the pipeline's own; each point
is measured in five rounds, all points in turn, and set against the reference point of the same round.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conditions import RESULTS, ROOT, conditions, write
from long_strip import long_strip
from metered import SIDE_PX, metered
from strip_growth import by_camera, by_strip
from strip_series import Series
from verdict_cost import SIZES, verdict_costs
from worker_growth import worker_growth

from stripwatch.local.pipeline import Pipeline

sys.path.append(str(ROOT / "tests"))
from tiny_models import write_pair


@dataclass(frozen=True, slots=True)
class Scope:
    """What is measured."""

    rounds: int = 5
    strips: tuple[Series, ...] = (Series(10, 500), Series(100, 100), Series(1_000, 10), Series(10_000, 2))
    """The last one is what the others are set against."""
    long: int = 100_000
    """Frames of the strip that is sent in parts, each beside a strip of the length that the others are set against."""
    cameras: tuple[int, ...] = (1, 4, 16, 64, 100)
    camera_frames: int = 8_000
    workers: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    worker_seconds: float = 5.0
    defects: tuple[int, ...] = SIZES

    def scaled(self, scale: float) -> Scope:
        """With so many times the frames a point; no strip is longer or shorter for it, but one by its cameras."""
        return Scope(
            strips=tuple(Series(one.frames, max(1, round(one.strips * scale))) for one in self.strips),
            long=self.long,
            camera_frames=round(self.camera_frames * scale),
            worker_seconds=self.worker_seconds * scale,
        )


QUICK = Scope(
    rounds=2,
    strips=(Series(10, 10), Series(100, 4), Series(1_000)),
    long=2_000,
    cameras=(1, 100),
    camera_frames=800,
    workers=(1, 2),
    worker_seconds=2.0,
    defects=(10, 100, 1_000),
)


def growth(scope: Scope, folder: Path) -> dict[str, Any]:
    """All of it."""
    models = folder / "models"
    write_pair(models)
    env = {
        "STRIPWATCH_MODELS": str(models),
        "STRIPWATCH_RECIPES": str(folder / "recipes"),
        "STRIPWATCH_MAX_BATCH": "64",
    }
    with metered(Pipeline(folder / "redis", env=env), folder / "recipes") as meter:
        version, memory = meter.version(), {"at rest": meter.memory()}
        strips = by_strip(meter, scope.strips, scope.rounds)
        memory["after all strips"] = meter.memory()
        long = long_strip(meter, scope.long, scope.rounds, scope.strips[-1].frames)
        cameras = by_camera(meter, scope.cameras, scope.camera_frames, scope.rounds)
        memory[f"after {max(scope.cameras)} cameras"] = meter.memory()
    workers = worker_growth(scope.workers, scope.rounds, scope.worker_seconds, folder / "workers")
    memory[f"with {max(scope.workers)} workers"] = workers.pop("memory_of_all")
    return {
        "redis": version,
        "frame_bytes": SIDE_PX**2,
        "rounds": scope.rounds,
        "strips": strips,
        "long": long,
        "million": million(RESULTS / "soak.json"),
        "cameras": cameras,
        "workers": workers,
        "memory": memory,
        "verdict": verdict_costs(scope.rounds, scope.defects),
    }


def million(soak: Path) -> dict[str, Any]:
    """The soak's own figures: one run of very many frames, its services' CPU time by tenth over that of its first."""
    told = json.loads(soak.read_text(encoding="utf-8"))
    services = [
        sum(cost for name, cost in tenth.items() if name not in ("all", "source"))
        for tenth in told["cpu_us_a_frame_by_tenth"]
    ]
    return {
        "file": soak.name,
        "commit": told["commit"],
        "frames": told["frames"],
        "services_us_a_frame_by_tenth": [round(one, 1) for one in services],
        "over_first_tenth": [round(one / services[0], 3) for one in services],
        "memory": told["memory"],
    }


def show(result: Mapping[str, Any]) -> None:
    """Tables for a terminal."""
    for what, over in (("strips", "against_reference"), ("cameras", "against_one_camera")):
        told = result[what][over]
        for name, point in result[what]["points"].items():
            one = told[name] if name in told else told["all"][name]
            ratio = f"{one['ratio']} ({one['lowest']} to {one['highest']}) {one['word']}"
            print(f"{what:<8} {name:>7}: {point['all']:>8} µs a frame, {ratio}")
    long = result["long"]
    print("long    ", f"{long['frames']:>7}:", *(one["ratio"] for one in long["parts"]), long["against_fresh"])
    print("strip:", result["strips"]["parts"]["all"])
    for name, point in result["workers"]["points"].items():
        print(f"workers  {name:>7}: {point['all']:>8} µs a frame, {point['frames_per_s']} frames/s, {point['cores']}")
    print("ceiling:", result["workers"]["ceiling"])
    for name, one in result["verdict"].items():
        print(f"verdict, {name}: exponent {one['exponent']}, by step {one['exponent_by_step']}")
    for when, of_kinds in result["memory"].items():
        print(
            when, {kind: (one["processes"], one["rss_mib_most"], one["pss_mib_all"]) for kind, one in of_kinds.items()}
        )


def main() -> None:
    """Measures, prints the figures and writes them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the frames of each point")
    parser.add_argument("--long", type=int, default=Scope().long, help="frames of the strip that is sent in parts")
    parser.add_argument("--quick", action="store_true", help="two small rounds: does it work")
    parser.add_argument("--out", type=Path, default=None)
    chosen = parser.parse_args()
    given = "--quick" if chosen.quick else f"--scale {chosen.scale:g} --long {chosen.long}"
    before = conditions(f"make bench-growth SIZE='{given}'", "")
    with tempfile.TemporaryDirectory() as name:
        scope = QUICK if chosen.quick else Scope(long=chosen.long).scaled(chosen.scale)
        result = growth(scope, Path(name))
    before["redis"] = result.pop("redis")
    write(
        "growth",
        {**before, "models": "tiny, on the real model services; by workers one that waits", **result},
        chosen.out,
    )
    show(result)


if __name__ == "__main__":
    main()
