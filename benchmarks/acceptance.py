"""Acceptance strips through the running pipeline with the shipped models; writes benchmarks/results/acceptance.json.

Composed of held-out NEU images, on the grid and off it; simulated ones with unseen seeds, clean and with flaws. Real
processes, real Redis, real gRPC: what is counted is what an MES would read.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from composed import MM_PER_PX, ComposedStrip, compose, matches, stray
from rich.progress import track

from stripwatch.domain.recipe import Disposition
from stripwatch.domain.verdict import StripVerdict
from stripwatch.local.pipeline import Pipeline
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.simulate.agreement import compare
from stripwatch.simulate.series import StripSeries
from stripwatch_train.neu import SIZE, Neu
from stripwatch_train.places import Places, default_data
from stripwatch_train.split import read_heldout

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "acceptance.json"
TILE_MM = SIZE * MM_PER_PX
FLAWED_SEED = 1_000_000
CLEAN_SEED = 1_500_000


@dataclass
class Tally:
    """Counts over the strips of one kind."""

    strips: int = 0
    frames: int = 0
    lost: int = 0
    defects: int = 0
    found: int = 0
    right: int = 0
    stray: int = 0
    accepted: int = 0
    missed: list[str] = field(default_factory=list)
    by_class: Counter[str] = field(default_factory=Counter)

    def account(self, verdict: StripVerdict) -> None:
        self.strips += 1
        self.frames += sum(camera.expected for camera in verdict.cameras)
        self.lost += sum(camera.expected - camera.judged for camera in verdict.cameras)
        self.accepted += verdict.disposition is Disposition.ACCEPT

    def summary(self) -> dict[str, object]:
        shares = {"found": self.found / self.defects, "right": self.right / self.defects} if self.defects else {}
        return {
            "strips": self.strips,
            "frames": self.frames,
            "frames_lost": self.lost,
            "defects": self.defects,
            **{name: round(share, 4) for name, share in shares.items()},
            "stray_defects": self.stray,
            "strips_accepted": self.accepted,
            "missed_or_wrong": self.missed,
            "wrong_by_class": dict(self.by_class),
        }


def judge_composed(pipeline: Pipeline, strips: list[ComposedStrip], folder: Path) -> Tally:
    """Streams each strip as a folder of frames and compares its verdict with what was laid on it."""
    tally = Tally()
    for strip in track(strips, description=f"composed, {strips[0].name.partition('-')[0]} the grid"):
        home = strip.write(folder)
        settings = {"STRIPWATCH_SOURCE": f"folder:{home}", "STRIPWATCH_STRIP": strip.name, "STRIPWATCH_RUN": "a"}
        pipeline.finish(pipeline.feed(settings), 300)
        pipeline.settle(timeout_s=300)
    for strip, verdict in zip(strips, verdicts(pipeline, [strip.name for strip in strips]), strict=True):
        tally.account(verdict)
        tally.stray += stray(strip.laid, verdict.defects, TILE_MM)
        for laid in strip.laid:
            found, right = matches(laid, verdict.defects, TILE_MM)
            tally.defects += 1
            tally.found += found
            tally.right += right
            if not right:
                tally.missed.append(f"{laid.name}{'' if found else ' (not found)'}")
                tally.by_class[laid.label] += 1
    return tally


def judge_simulated(pipeline: Pipeline, seed: int, strips: int, defects: str) -> Tally:
    """Streams simulated strips and compares their verdicts with the truth, which never travels with the frames."""
    series = StripSeries(seed, 6000.0, 400.0, MM_PER_PX, defects=(0,) if defects == "0" else ())
    settings = {
        "STRIPWATCH_SOURCE": "simulator",
        "STRIPWATCH_RUN": "a",
        "STRIPWATCH_SIM_SEED": str(seed),
        "STRIPWATCH_SIM_STRIPS": str(strips),
        "STRIPWATCH_SIM_DEFECTS": defects,
        "STRIPWATCH_WIDTH_MM": f"{series.width_mm:g}",
        "STRIPWATCH_LENGTH_MM": f"{series.length_mm:g}",
    }
    pipeline.finish(pipeline.feed(settings), 1800)
    pipeline.settle(timeout_s=600)
    tally = Tally()
    for number, verdict in enumerate(verdicts(pipeline, [series.strip(at) for at in range(strips)])):
        tally.account(verdict)
        agreement = compare(series.truth(number), verdict.defects, TILE_MM)
        tally.stray += len(agreement.stray)
        for flaw, defect in agreement.pairs:
            tally.defects += 1
            tally.right += defect is not None
            on = any(one.side is flaw.side and one.box.touches(flaw.box, 0) for one in verdict.defects)
            tally.found += on
            if defect is None:
                tally.missed.append(f"seed {seed + number}: {flaw.label} {flaw.box}{'' if on else ' (not found)'}")
                tally.by_class[flaw.label] += 1
        if agreement.stray:
            tally.missed.extend(f"seed {seed + number}: stray {one.label} {one.box}" for one in agreement.stray)
    return tally


def verdicts(pipeline: Pipeline, strips: list[str]) -> list[StripVerdict]:
    """The one verdict of each strip; AssertionError if there are more or fewer."""
    wanted = set(strips)
    found: dict[str, StripVerdict] = {}
    cursor = ""
    while events := pipeline.line().verdicts.since(cursor, 500, 0):
        cursor = events[-1].cursor
        for one in events:
            if one.event.run.strip in wanted:
                assert one.event.run.strip not in found, f"two verdicts for {one.event.run}"
                found[one.event.run.strip] = decode_verdict(one.event.body)
    return [found[strip] for strip in strips]


def main() -> None:
    """Runs everything, prints the figures and writes them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strips", type=int, default=100, help="simulated strips of each kind")
    parser.add_argument("--images", type=int, default=0, help="held-out images (0: all)")
    parser.add_argument("--out", type=Path, default=RESULT)
    chosen = parser.parse_args()

    neu = Neu.load(Places(default_data()))
    rows = neu.rows(read_heldout(ROOT / "models" / "heldout.txt")).tolist()
    rows = rows[:: max(1, len(rows) // chosen.images)] if chosen.images else rows
    with tempfile.TemporaryDirectory() as name, Pipeline(Path(name) / "up") as pipeline:
        folder = Path(name) / "strips"
        tallies = {
            "composed_on_grid": judge_composed(pipeline, list(compose(neu, rows, on_grid=True)), folder),
            "composed_off_grid": judge_composed(pipeline, list(compose(neu, rows, on_grid=False, seed=1)), folder),
            "simulated_flawed": judge_simulated(pipeline, FLAWED_SEED, chosen.strips, ""),
            "simulated_clean": judge_simulated(pipeline, CLEAN_SEED, chosen.strips, "0"),
        }
    result = {
        "command": "make bench",
        "commit": subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip(),
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "data_sha256": neu.sha256,
        **{kind: tally.summary() for kind, tally in tallies.items()},
    }
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for kind, tally in tallies.items():
        shown = {name: value for name, value in tally.summary().items() if name != "missed_or_wrong"}
        print(kind, json.dumps(shown))


if __name__ == "__main__":
    main()
