"""How late a frame's result and a strip's verdict come, at shares of what the pipeline can do; writes latency.json.

Capture to result is compared with the bare time of the same frame: one process that decodes, cuts, resizes and runs
both models, with nothing else at work (bare.py). Rounds of bare loop and loads are interleaved.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from arrivals import Arrivals, filled
from bare import Loop, measure
from conditions import conditions, write
from line_frames import MM_PER_PX, TILE_PX, WIDTH_PX, LineLoad, draw
from line_suite import asked
from rig import Profile, Rig, Run, rig
from short_strips import ShortStrips

from stripwatch.stream.keys import member

TIERS = {"0.25": "stable", "0.5": "stable", "0.75": "degrading", "0.9": "degrading", "1.2": "failure"}
"""Shares of the saturation."""
LOOK_EVERY_S = 0.25
"""From outside, seldom: each look is a command that wakes Redis, and what waits there with it."""
FRAME_M = TILE_PX * MM_PER_PX / 1000
TILES = WIDTH_PX // TILE_PX
BUDGET_S = 0.5
"""What a live source lets frames wait before it sheds."""
ANCHOR_PER_S = 10
CAMERAS = 24
STRIP_FRAMES = 20
STRIP_PICTURES = 4


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    seconds: float = 10.0
    bare_seconds: float = 4.0
    saturation_frames: int = 600
    rounds: int = 3
    strips: int = 200
    cameras: int = CAMERAS
    loads: tuple[str, ...] = tuple(TIERS)


QUICK = Size(1.5, 0.5, 150, 1, 6, 4)


@dataclass(frozen=True, slots=True)
class Ratio:
    """One run beside the bare time of its round."""

    bare_s: float
    late_s: npt.NDArray[np.float64]
    run: Run
    bounded: int
    """Frames whose time is only known to be no later."""

    def figures(self) -> dict[str, Any]:
        p50, p99 = (float(np.quantile(self.late_s, q)) for q in (0.5, 0.99))
        cameras = self.run.verdict.cameras if self.run.verdict else ()
        return {
            "p50_ms": _ms(p50),
            "p99_ms": _ms(p99),
            "p50_over_bare": round(p50 / self.bare_s, 3),
            "p99_over_bare": round(p99 / self.bare_s, 3),
            "frames": sum(camera.expected for camera in cameras),
            "shed": sum(camera.shed for camera in cameras),
            "lost": sum(camera.never_seen for camera in cameras),
            "failed": sum(camera.failed for camera in cameras),
            "bounded": self.bounded,
            "not_timed": self.run.offered["sent"] - len(self.late_s),
        }


class Bench:
    """One profile's pipeline, and what is asked of it."""

    def __init__(self, rig: Rig, profile: Profile, engine: str, size: Size) -> None:
        self._rig, self._profile, self._size = rig, profile, size
        models = str(profile.models)
        self._loop = Loop(models, profile.classifier, profile.anomaly, engine, str(rig.pictures), frames_a_batch=1)
        self._strips = rig.pictures.with_name("strip.npy")
        np.save(self._strips, draw(pictures=STRIP_PICTURES))

    def result(self) -> dict[str, Any]:
        """All figures of the profile."""
        flat_out = self._rig.run(self._size.saturation_frames)
        per_s = flat_out.tiles_per_s / TILES
        print(f"{self._profile.name}: saturation {flat_out.tiles_per_s:.0f} tiles/s", flush=True)
        rounds: dict[str, list[dict[str, Any]]] = {load: [] for load in (*self._size.loads, "one camera", "cameras")}
        bare = []
        for _ in range(self._size.rounds):
            bare.append(measure(self._loop, self._size.bare_seconds, 1)["batch_s"])
            for load in self._size.loads:
                rounds[load].append(self._at(per_s * float(load), bare[-1]).figures())
            rounds["one camera"].append(self._at(ANCHOR_PER_S, bare[-1]).figures())
            many = self._at(ANCHOR_PER_S, bare[-1], across=self._size.cameras)
            rounds["cameras"].append({**many.figures(), "uncounted": uncounted(many.run)})
        loads = {load: {"tier": TIERS[load], **_middle(rounds[load])} for load in self._size.loads}
        return {
            "saturation_tiles_per_s": round(flat_out.tiles_per_s, 1),
            "bare_ms": _ms(median(bare)),
            "loads": loads,
            f"one_camera_at_{ANCHOR_PER_S}_per_s": _middle(rounds["one camera"]),
            f"{self._size.cameras}_cameras_at_{ANCHOR_PER_S}_per_s": _middle(rounds["cameras"]),
            "end_to_verdict_ms": self._end_to_verdict(per_s * 0.5),
            "rounds": {"bare_ms": [_ms(one) for one in bare], **rounds},
        }

    def _at(self, frames_per_s: float, bare_s: float, across: int = 1) -> Ratio:
        """A live run of so many frames a second of each camera."""
        with Arrivals(self._rig.pipeline.redis_url) as arrivals:
            run = self._rig.run(
                max(10, round(frames_per_s * self._size.seconds)),
                look_every_s=LOOK_EVERY_S,
                speed_m_per_s=frames_per_s * FRAME_M,
                across=across,
                live=True,
                budget_s=BUDGET_S,
            )
        seen = arrivals.results(run.load.run)
        whole, captured = filled(seen, run.recorded_at), run.offered["captured_at"]
        late = np.array([at - captured[camera][index] for (camera, index), at in whole.items()])
        return Ratio(bare_s, late, run, len(whole) - len(seen))

    def _end_to_verdict(self, frames_per_s: float) -> dict[str, Any]:
        """From a strip's last result to its verdict, of many short strips in a row."""
        pipeline = self._rig.pipeline
        like = LineLoad(
            redis_url=pipeline.redis_url,
            strip=f"{self._profile.name}-short",
            account=str(self._strips.with_name("short.json")),
            pictures=str(self._strips),
            frames=STRIP_FRAMES,
            recipe=self._profile.name,
            speed_m_per_s=frames_per_s * FRAME_M,
            live=True,
        )
        strips = ShortStrips(like, self._size.strips)
        with Arrivals(pipeline.redis_url) as arrivals:
            source = pipeline.supervisor.start(strips.process("strips"))
            pipeline.supervisor.leave_alone("strips")
            pipeline.finish(source, 60.0 + 10 * self._size.strips * STRIP_FRAMES / frames_per_s)
            pipeline.settle()
        del pipeline.supervisor.children["strips"]
        verdicts = arrivals.verdicts()
        late = []
        for load in strips.loads():
            results = arrivals.results(load.run)
            if len(results) == STRIP_FRAMES:  # else its last result may be the one that was missed
                late.append(verdicts[member(load.run)] - max(results.values()))
        quantiles = {name: _ms(np.quantile(late, q)) for name, q in (("p50", 0.5), ("p99", 0.99), ("most", 1.0))}
        return {**quantiles, "strips": len(late), "frames_a_strip": STRIP_FRAMES, "not_timed": strips.count - len(late)}


def uncounted(run: Run) -> int:
    """Frames that were offered and have no place in the verdict: neither judged, failed, shed nor known as lost."""
    offered = sum(len(times) for times in run.offered["captured_at"].values())
    cameras = run.verdict.cameras if run.verdict else ()
    return offered - sum(one.judged + one.failed + one.shed + one.never_seen for one in cameras)


def _middle(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of times and ratios, sums of frames."""
    counts = ("frames", "shed", "lost", "failed", "bounded", "not_timed", "uncounted")
    return {
        name: sum(one[name] for one in rounds) if name in counts else round(median(one[name] for one in rounds), 3)
        for name in rounds[0]
    }


def _ms(seconds: float) -> float:
    return round(float(seconds) * 1000, 3)


def latency(profile: Profile, engine: str, size: Size, folder: Path, env: Mapping[str, str]) -> dict[str, Any]:
    """One profile's figures, from a pipeline of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    with rig(profile, folder, {"STRIPWATCH_ENGINE": engine, **env}) as running:
        return {**Bench(running, profile, engine, size).result(), "redis": running.version()}


def show(profiles: dict[str, dict[str, Any]]) -> None:
    """A table for a terminal."""
    print("profile   load       tier       p50 ms  p99 ms  p50/bare  p99/bare  frames   shed lost bounded, not timed")
    for name, found in profiles.items():
        rows = {**found["loads"], **{key: found[key] for key in found if key.endswith("_per_s") and "camera" in key}}
        for load, one in rows.items():
            print(
                f"{name:<9} {load.removesuffix('_per_s'):<22} {one.get('tier', ''):<10} {one['p50_ms']:>7} "
                f"{one['p99_ms']:>8} {one['p50_over_bare']:>7} {one['p99_over_bare']:>8} {one['frames']:>7} "
                f"{one['shed']:>6} {one['lost']:>4} {one['bounded']:>4}, {one['not_timed']}"
            )
        ends = found["end_to_verdict_ms"]
        print(f"{name:<9} bare {found['bare_ms']} ms; last result to verdict {json.dumps(ends)}")


def main() -> None:
    """Measures, prints the figures and writes them down."""
    chosen, profiles, size = asked(__doc__, "length of each run", Size(), QUICK)
    before = conditions("make bench-latency", "")
    env = {"STRIPWATCH_ENGINE_WORKERS": str(chosen.workers)}
    found = {}
    with tempfile.TemporaryDirectory() as name:
        for profile in profiles:
            found[profile.name] = latency(profile, chosen.engine, size, Path(name) / profile.name, env)
            before["redis"] = found[profile.name].pop("redis")
    engine = {"engine": chosen.engine, "engine_workers": chosen.workers}
    write("latency", {**before, **engine, "seconds_a_run": size.seconds, **found}, chosen.out)
    show(found)


if __name__ == "__main__":
    main()
