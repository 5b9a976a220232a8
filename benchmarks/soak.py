"""One very long run of small frames through the real processes: what grows, and whether the last frames cost what the
first did. Writes benchmarks/results/soak.json.

Tiny models on the real model services (brightness decides), so that the cost is the pipeline's own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from conditions import ROOT, conditions, write
from small_frames import Load, write_recipe
from watch import MIB, Sample, Watch

from stripwatch.domain.verdict import StripVerdict
from stripwatch.errors import StripwatchError
from stripwatch.local.pipeline import Pipeline
from stripwatch.rpc.codec.verdicts import decode_verdict

sys.path.append(str(ROOT / "tests"))
from tiny_models import write_pair

SIDE_PX = 64
BRIGHT_EVERY, BROKEN_EVERY = 500, 20_000
PARTS = 10
SAMPLES = 100
WARM = 0.2
"""Share of the run after which memory counts, for as long as its source is there."""
STUCK_S = 60.0


def soak(frames: int, folder: Path, *, cameras: int = 2, partial: Path | None = None) -> dict[str, Any]:
    """Sends the run and watches it to its verdict."""
    models = folder / "models"
    write_pair(models)
    env = {
        "STRIPWATCH_MODELS": str(models),
        "STRIPWATCH_RECIPES": str(write_recipe(folder / "recipes", SIDE_PX)),
        "STRIPWATCH_MAX_BATCH": "64",
    }
    with (
        (folder / "services.log").open("w") as log,
        Pipeline(
            folder / "redis", env=env, sink=lambda name, text: print(name, text, file=log, flush=True)
        ) as pipeline,
    ):
        load = Load(
            redis_url=pipeline.redis_url,
            strip="soak",
            account=str(folder / "account.json"),
            phases=((1e9, 0.0),),
            frames=frames,
            cameras=cameras,
            side_px=SIDE_PX,
            bright_every=BRIGHT_EVERY,
            broken_every=min(BROKEN_EVERY, frames // 5),
        )
        watch = Watch(pipeline, load)
        load = Load(**{**_fields(load), "budget_bytes": watch.budget()})
        source = pipeline.supervisor.start(load.process())
        pipeline.supervisor.leave_alone(source.spec.name)
        samples = _follow(pipeline, watch, frames, partial)
        pipeline.finish(source, 60.0)
        verdict = decode_verdict(pipeline.verdict(load.run).event.body)
        offered = json.loads(Path(load.account).read_text(encoding="utf-8"))
        after = watch.sample(frames)
        return {
            "redis": watch.version(),
            "frames": frames,
            "budget_bytes": load.budget_bytes,
            **figures(samples),
            "after_the_verdict": after.redis,
            "account": check(verdict, offered, len(pipeline.line().dead.page(frames))),
            "restarts": pipeline.supervisor.restarts,
        }


def _fields(load: Load) -> dict[str, Any]:
    return {name: getattr(load, name) for name in Load.__dataclass_fields__}


def _follow(pipeline: Pipeline, watch: Watch, frames: int, partial: Path | None) -> list[Sample]:
    """A sample when the first frames are done (what a start costs is no frame's), after each hundredth, at the end."""
    samples: list[Sample] = []
    at, moved = 0, time.monotonic()
    while at >= 0:
        pipeline.sleep(0.05)
        before, at = at, watch.done()
        if at == before:
            _refuse_if_stuck(pipeline, moved, at)
            continue
        moved = time.monotonic()
        if at < 0 or not samples or at >= samples[-1].done + frames // SAMPLES:
            samples.append(watch.sample(at if at >= 0 else frames))
            if partial and len(samples) % (SAMPLES // PARTS) == 0:
                write("soak", figures(samples), partial)
                _progress(samples[-1])
    return samples


def _refuse_if_stuck(pipeline: Pipeline, moved: float, at: int) -> None:
    if time.monotonic() - moved > STUCK_S:
        words = pipeline.supervisor.last_words()
        raise StripwatchError(f"nothing moved for {STUCK_S:g} s after {at} frames: {words}")


def _progress(last: Sample) -> None:
    rss = ", ".join(f"{name} {size / MIB:.0f}" for name, size in last.rss.items())
    print(f"{last.done:>9} frames, {last.wall_s:6.0f} s, {last.redis['frames']} waiting, MiB: {rss}", flush=True)


def figures(samples: Sequence[Sample]) -> dict[str, Any]:
    """Costs by tenth of the run, and what grew after its first fifth."""
    last = samples[-1].done
    took = samples[-1].wall_s - samples[0].wall_s
    bounds = [min(samples, key=lambda one: abs(one.done - last * part / PARTS)) for part in range(PARTS + 1)]
    tenths = [_cost(first, second) for first, second in pairwise(bounds) if second.done > first.done]
    warm = [one for one in samples if one.done >= WARM * last and one.rss.get("source")]
    names = sorted({name for one in warm for name in one.rss})
    memory = {name: _growth(warm, [one.rss.get(name, 0) for one in warm]) for name in names}
    memory |= {
        f"redis: {what}": _growth(warm, [one.redis[what] for one in warm])
        for what in ("used", "beside streams", "run", "seen")
    }
    return {
        "wall_s": round(took, 1),
        "frames_per_s": round((last - samples[0].done) / took, 1),
        "cpu_us_a_frame_by_tenth": tenths,
        "last_over_first_tenth": round(tenths[-1]["all"] / tenths[0]["all"], 4) if tenths else None,
        "memory": memory,
        "most_waiting": {what: max(one.redis[what] for one in samples) for what in ("frames", "results")},
        "most_used_bytes": max(one.redis["used"] for one in samples),
    }


def _cost(first: Sample, second: Sample) -> dict[str, float]:
    """CPU time a frame in µs: of all processes, and of each."""
    frames = second.done - first.done
    spent = {name: cpu - first.cpu_s.get(name, 0.0) for name, cpu in second.cpu_s.items()}
    each = {name: round(cpu / frames * 1e6, 1) for name, cpu in spent.items()}
    return {"all": round(sum(spent.values()) / frames * 1e6, 1), **each}


def _growth(samples: Sequence[Sample], sizes: Sequence[int]) -> dict[str, float]:
    """First, last and most MiB, and the slope of a straight line through all in MiB a million frames."""
    there = [(one.done, size) for one, size in zip(samples, sizes, strict=True) if size]
    if len(there) < 2:
        return {}
    done, held = np.array(there, dtype=np.float64).T
    slope = float(np.polyfit(done / 1e6, held / MIB, 1)[0])
    ends = {"first_mib": held[0] / MIB, "last_mib": held[-1] / MIB, "most_mib": held.max() / MIB}
    return {**{name: round(float(size), 2) for name, size in ends.items()}, "mib_a_million_frames": round(slope, 2)}


def check(verdict: StripVerdict, offered: dict[str, Any], letters: int) -> dict[str, Any]:
    """The verdict's account beside what was offered; AssertionError unless they agree to the frame."""
    counts = {
        what: sum(getattr(camera, what) for camera in verdict.cameras)
        for what in ("expected", "judged", "failed", "shed", "never_seen")
    }
    assert counts["expected"] == offered["frames"], (counts, offered)
    assert counts["failed"] == offered["broken"] == letters, (counts, offered, letters)
    assert counts["judged"] == offered["frames"] - offered["broken"], (counts, offered)
    assert verdict.found == offered["bright"], (verdict.found, offered)
    return {**counts, "bright_frames": offered["bright"], "defects_found": verdict.found, "dead_letters": letters}


def show(result: dict[str, Any]) -> None:
    """A table for a terminal."""
    print(f"{result['frames']} frames in {result['wall_s']} s ({result['frames_per_s']}/s)")
    tenths = result["cpu_us_a_frame_by_tenth"]
    print(
        "CPU µs a frame by tenth:", *(tenth["all"] for tenth in tenths), f"last/first {result['last_over_first_tenth']}"
    )
    for name, one in result["memory"].items():
        if one:
            ends = f"{one['first_mib']:>9} -> {one['last_mib']:>9} MiB"
            print(f"  {name:<24} {ends}, {one['mib_a_million_frames']:+} a million frames")
    print("account", result["account"], "restarts", result["restarts"])


def main() -> None:
    """Runs it, prints the figures and writes them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=None)
    chosen = parser.parse_args()
    partial = ROOT / "var" / "soak.partial.json"
    with tempfile.TemporaryDirectory() as name:
        before = conditions(f"make soak FRAMES={chosen.frames}", "")
        result = soak(chosen.frames, Path(name), partial=partial)
    before["redis"] = result.pop("redis")
    write("soak", {**before, "models": "tiny, on the real model services", **result}, chosen.out)
    show(result)


if __name__ == "__main__":
    main()
