"""What the pipeline costs beyond its models: its tiles a second beside those of a bare loop, and of a plain torch loop.

Writes benchmarks/results/pipeline.json. Rounds are interleaved: a bare loop, then the pipeline, profile by profile,
then torch. `--guard` compares the efficiency of one profile with the one in that file and fails if it fell by a fifth.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from conditions import RESULTS, ROOT, conditions, write
from line_frames import draw
from rig import ACCURATE, COARSE, FAST, Profile, rig

from stripwatch.local.services import ONE_THREAD
from stripwatch.pixels import Image

MOBILENET = Profile("mobilenet", "mobilenetv2-neu6", "mobilenetv2-texture", ROOT / "var" / "bench-models")
PROFILES = {one.name: one for one in (MOBILENET, ACCURATE, FAST, COARSE)}
HEADLINE = "mobilenet"
FRAMES_A_S = {"mobilenet": 50, "accurate": 110, "fast": 380, "coarse": 430}
"""About what each judges here, for runs of a wanted length."""
MOST_FALL = 0.2
TORCH_BATCHES = (16, 1)


@dataclass(slots=True)
class Rounds:
    """What each round gave, by profile."""

    bare: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    pipeline: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    torch: dict[str, list[float]] = field(default_factory=dict)


class Bench:
    """One round after the other; `seconds` is what each turn takes."""

    def __init__(self, engine: str, cores: int, seconds: float, pictures: Image, folder: Path) -> None:
        self._engine, self._cores, self._seconds = engine, cores, seconds
        self._pictures, self._folder = pictures, folder
        self._file = folder / "pictures.npy"
        np.save(self._file, pictures)
        self.rounds = Rounds()
        self.redis = ""

    def bare(self, profile: Profile) -> None:
        models = f"--models={profile.models} --classifier={profile.classifier} --anomaly={profile.anomaly}"
        numbers = f"--engine={self._engine} --workers={self._cores} --seconds={self._seconds}"
        answer = self._run("bare.py", *models.split(), *numbers.split(), f"--pictures={self._file}")
        self.rounds.bare.setdefault(profile.name, []).append(answer)

    def pipeline(self, profile: Profile) -> None:
        env = {
            "STRIPWATCH_ENGINE": self._engine,
            "STRIPWATCH_ENGINE_WORKERS": str(self._cores),
            "STRIPWATCH_ENGINE_THREADS": "1",
        }
        frames = max(60, round(FRAMES_A_S[profile.name] * self._seconds))
        folder = self._folder / f"{profile.name}-{len(self.rounds.pipeline.get(profile.name, []))}"
        folder.mkdir()
        with rig(profile, folder, env, self._pictures) as one:
            self.redis = one.version()
            run = one.run(frames)
        told = {"tiles_per_s": round(run.tiles_per_s, 1), "cpu_us_a_tile": run.cpu_us_a_tile, "frames": frames}
        self.rounds.pipeline.setdefault(profile.name, []).append(told)

    def torch(self, batch: int, weights: str) -> None:
        flags = [f"--frames={self._file}", f"--batch={batch}", f"--seconds={self._seconds}"]
        answer = self._run("torch_loop.py", *flags, *([f"--weights={weights}"] if weights else []), env={})
        self.rounds.torch.setdefault(str(batch), []).append(answer["tiles_per_s"])

    def _run(self, script: str, *flags: str, env: dict[str, str] = ONE_THREAD) -> dict[str, Any]:
        command = [sys.executable, str(ROOT / "benchmarks" / script), *flags]
        answer = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **env})
        told: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
        return told


def figures(rounds: Rounds) -> dict[str, Any]:
    """Medians of the rounds and their ratios."""
    profiles = {}
    for name, runs in rounds.pipeline.items():
        bare, tiles = rounds.bare[name], _median([run["tiles_per_s"] for run in runs])
        loop = {what: _median([one[what] for one in bare]) for what in ("tiles_per_s", "cpu_us_a_tile")}
        cpu = {
            process: _median([run["cpu_us_a_tile"].get(process, 0.0) for run in runs])
            for process in runs[0]["cpu_us_a_tile"]
        }
        profiles[name] = {
            "bare": {**loop, "rounds": bare},
            "pipeline": {"tiles_per_s": tiles, "cpu_us_a_tile": cpu, "rounds": runs},
            "efficiency": round(tiles / loop["tiles_per_s"], 4),
            "own_cpu_us_a_tile": round(cpu["all"] - loop["cpu_us_a_tile"], 1),
        }
    torch = {batch: {"tiles_per_s": _median(rates), "rounds": rates} for batch, rates in rounds.torch.items()}
    best = max((one["tiles_per_s"] for one in torch.values()), default=0.0)
    return {
        "efficiency": profiles.get(HEADLINE, {}).get("efficiency"),
        "profiles": profiles,
        "torch": torch,
        "over_torch": {
            name: round(one["pipeline"]["tiles_per_s"] / best, 1) for name, one in profiles.items() if torch
        },
    }


def _median(numbers: Sequence[float]) -> float:
    return round(float(np.median(numbers)), 1)


def guard(found: dict[str, Any], name: str) -> str:
    """What fell since the results were written; empty if nothing did."""
    kept = json.loads((RESULTS / "pipeline.json").read_text(encoding="utf-8"))["profiles"][name]["efficiency"]
    now = found["profiles"][name]["efficiency"]
    if now < (1 - MOST_FALL) * kept:
        return f"{name}: efficiency {now:.2f}, expected at least {1 - MOST_FALL:.0%} of {kept:.2f}"
    print(f"{name}: efficiency {now:.2f}, {kept:.2f} in the results")
    return ""


def show(found: dict[str, Any]) -> None:
    """A table for a terminal."""
    print(f"{'profile':10} {'bare/s':>8} {'ours/s':>8} {'ratio':>6} {'own us':>7}  CPU us a tile")
    for name, one in found["profiles"].items():
        cpu = ", ".join(f"{process} {spent:g}" for process, spent in one["pipeline"]["cpu_us_a_tile"].items())
        rates = f"{one['bare']['tiles_per_s']:>8.0f} {one['pipeline']['tiles_per_s']:>8.0f}"
        print(f"{name:10} {rates} {one['efficiency']:>6.2f} {one['own_cpu_us_a_tile']:>7.0f}  {cpu}")
    for batch, one in found["torch"].items():
        print(f"torch, batch {batch}: {one['tiles_per_s']} tiles/s")
    if found["over_torch"]:
        print("over the better torch loop:", ", ".join(f"{name} {many}x" for name, many in found["over_torch"].items()))


def main() -> None:
    """Runs all rounds, prints the figures and writes them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each turn")
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--workers", type=int, default=2, help="engines, each of one thread")
    parser.add_argument("--profiles", nargs="+", choices=list(PROFILES), default=list(PROFILES))
    parser.add_argument(
        "--torch", action=argparse.BooleanOptionalAction, default=True, help="a plain torch loop beside"
    )
    parser.add_argument("--weights", default="", help="of the torch loop: .npz; else the hub")
    parser.add_argument("--guard", choices=list(PROFILES), help="fail if this one's efficiency fell; writes nothing")
    parser.add_argument("--out", type=Path, default=None)
    chosen = parser.parse_args()
    before = conditions("make bench-pipeline", "")
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(chosen.engine, chosen.workers, chosen.seconds, draw(), Path(name))
        for number in range(chosen.rounds):
            for profile in (PROFILES[one] for one in chosen.profiles):
                bench.bare(profile)
                bench.pipeline(profile)
            for batch in TORCH_BATCHES if chosen.torch else ():
                bench.torch(batch, chosen.weights)
            print(f"round {number + 1} of {chosen.rounds}", flush=True)
    found = figures(bench.rounds)
    show(found)
    if chosen.guard:
        sys.exit(guard(found, chosen.guard) or 0)
    before["redis"] = bench.redis
    write("pipeline", {**before, "engine": chosen.engine, "rounds": chosen.rounds, **found}, chosen.out)


if __name__ == "__main__":
    main()
