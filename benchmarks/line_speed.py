"""How fast the line may run: the highest speed of a live strip, 1 m wide, that holds without loss.

Writes line_speed.json. A speed holds if no frame is shed, fails or gets lost, results keep pace with the frames, and 99
of 100 come in time. Profiles and sides take turns; the figure is the median of the rounds. Then it is shown how it
breaks above that.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from conditions import conditions, write
from line_frames import MM_PER_PX, TILE_PX, WIDTH_PX
from line_suite import asked
from rig import Profile, Rig, Run, rig

FRAME_M = TILE_PX * MM_PER_PX / 1000
TILES_A_FRAME = WIDTH_PX // TILE_PX
LOWEST, STEP, RUNGS = 0.3, 0.05, 20
"""Speeds that are tried, as shares of what a replay flat out gives: 0.3 to 1.25."""
GROWTH = 0.01
"""Seconds a second that results fall behind; beyond it a backlog grows. Less than that cannot be told from noise."""
BEYOND = (1.1, 1.5, 2.0)
"""Times the speed that holds: how it breaks."""
P99_S = 0.5
BUDGET_S = 1.0
"""What the source lets frames wait before it sheds: more than the bound, so that lateness is seen before loss."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    seconds: float = 10.0
    flat_out_frames: int = 800
    rounds: int = 3
    rungs: int = RUNGS


QUICK = Size(1.5, 150, 1, 3)


@dataclass(frozen=True, slots=True)
class Trial:
    """One live run at a speed."""

    speed_m_per_s: float
    shed: int
    failed: int
    lost: int
    frames: int
    p50_s: float
    p99_s: float
    growth: float
    """Seconds a second that results fall further behind the line."""
    most_waiting: int
    cpu_us_a_tile: Mapping[str, float]

    @property
    def holds(self) -> bool:
        lossless = self.shed == self.failed == self.lost == 0
        return lossless and self.growth <= GROWTH and self.p99_s <= P99_S

    def figures(self) -> dict[str, Any]:
        return {
            "m_per_s": round(self.speed_m_per_s, 2),
            "holds": self.holds,
            "frames": self.frames,
            "shed_share": round(self.shed / self.frames, 4),
            "failed": self.failed,
            "lost": self.lost,
            "p50_ms": round(self.p50_s * 1000, 1),
            "p99_ms": round(self.p99_s * 1000, 1),
            "growth_s_per_s": round(self.growth, 4),
            "most_waiting": self.most_waiting,
        }


def trial(running: Rig, sides: int, speed_m_per_s: float, seconds: float) -> Trial:
    """A live source at that speed, one camera a side."""
    frames = max(10, round(seconds * speed_m_per_s / FRAME_M))
    run = running.run(frames, sides=sides, speed_m_per_s=speed_m_per_s, live=True, budget_s=BUDGET_S)
    assert run.verdict is not None
    captured, late = _timed(run)
    cameras = run.verdict.cameras
    return Trial(
        speed_m_per_s=speed_m_per_s,
        shed=sum(camera.shed for camera in cameras),
        failed=sum(camera.failed for camera in cameras),
        lost=sum(camera.never_seen for camera in cameras),
        frames=sum(camera.expected for camera in cameras),
        p50_s=float(np.quantile(late, 0.5)),
        p99_s=float(np.quantile(late, 0.99)),
        growth=_growth(captured, late),
        most_waiting=run.most_waiting,
        cpu_us_a_tile=run.cpu_us_a_tile if len(run.samples) > 1 else {},
    )


def _timed(run: Run) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Capture (UTC s) and latency of the frames that were seen recorded.

    The rig's last look marks all frames that had no result by then, those that were shed too: they are left out,
    unless nothing was shed.
    """
    captured = np.concatenate([np.array(times) for times in run.offered["captured_at"].values()])
    recorded = np.concatenate([run.recorded_at[name] for name in run.offered["captured_at"]])
    known = ~np.isnan(recorded)
    if run.offered["shed"]:
        known &= recorded < np.nanmax(recorded)
    return captured[known], (recorded - captured)[known]


def _growth(captured: npt.NDArray[np.float64], late: npt.NDArray[np.float64]) -> float:
    """Between the second and the last quarter of the run, by their medians."""
    begin, length = captured.min(), np.ptp(captured)
    quarter = np.minimum(3, ((captured - begin) / max(length, 1e-9) * 4).astype(int))
    if not (np.any(quarter == 1) and np.any(quarter == 3)):
        return 0.0
    return float((np.median(late[quarter == 3]) - np.median(late[quarter == 1])) / (length / 2))


def highest(holds: Callable[[float], bool], flat_out: float, rungs: int = RUNGS) -> float:
    """The highest of the speeds around `flat_out` that holds, by halving; 0 where not the lowest does."""
    found = bisect_left(range(1, rungs + 1), True, key=lambda rung: not holds(speed_of(rung, flat_out)))
    return speed_of(found, flat_out) if found else 0.0


def speed_of(rung: int, flat_out: float) -> float:
    """Rung 1 is the lowest speed that is tried."""
    return (LOWEST + STEP * (rung - 1)) * flat_out


class Case:
    """One profile and number of sides, over the rounds."""

    def __init__(self, running: Rig, profile: Profile, sides: int, size: Size) -> None:
        self.name = f"{profile.name}.{sides}"
        self._rig, self._sides, self._size = running, sides, size
        self._flat_out = 0.0
        self._found: list[float] = []
        self._trials: list[list[dict[str, Any]]] = []
        self._cpu: Mapping[str, float] = {}

    def round(self) -> None:
        """Searches once; the first time around what a replay flat out gives."""
        if not self._flat_out:
            run = self._rig.run(self._size.flat_out_frames // self._sides, sides=self._sides)
            self._flat_out = run.tiles_per_s / TILES_A_FRAME / self._sides * FRAME_M
        tried: list[dict[str, Any]] = []

        def holds(speed: float) -> bool:
            one = trial(self._rig, self._sides, speed, self._size.seconds)
            tried.append(one.figures())
            if one.holds:
                self._cpu = one.cpu_us_a_tile
            return one.holds

        self._found.append(highest(holds, self._flat_out, self._size.rungs))
        self._trials.append(tried)
        print(f"{self.name}: {self._found[-1]:.2f} m/s holds (flat out {self._flat_out:.2f})", flush=True)

    def result(self) -> dict[str, Any]:
        """The median of the rounds, and what happens above it."""
        holds = median(self._found)
        above = {
            f"{factor:g}": trial(self._rig, self._sides, factor * (holds or self._flat_out), self._size.seconds)
            for factor in BEYOND
        }
        return {
            "holds_m_per_s": round(holds, 2),
            "tiles_per_s": round(holds / FRAME_M * TILES_A_FRAME * self._sides, 1),
            "flat_out_m_per_s": round(self._flat_out, 2),
            "cpu_us_a_tile": self._cpu,
            "breaks": {factor: one.figures() for factor, one in above.items()},
            "rounds": [
                {"holds_m_per_s": round(found, 2), "trials": tried}
                for found, tried in zip(self._found, self._trials, strict=True)
            ],
        }


def measure(profiles: list[Profile], env: Mapping[str, str], size: Size, folder: Path) -> dict[str, Any]:
    """All profiles, one side and both; their pipelines run side by side, as one that idles costs next to nothing."""
    with ExitStack() as stack:
        cases = list(_cases(stack, profiles, env, size, folder))
        for _ in range(size.rounds):
            for _, case in cases:
                case.round()
        return {"redis": cases[0][0].version(), **{case.name: case.result() for _, case in cases}}


def _cases(
    stack: ExitStack, profiles: list[Profile], env: Mapping[str, str], size: Size, folder: Path
) -> Iterator[tuple[Rig, Case]]:
    for profile in profiles:
        place = folder / profile.name
        place.mkdir(parents=True, exist_ok=True)
        running = stack.enter_context(rig(profile, place, env))
        for sides in (1, 2):
            yield running, Case(running, profile, sides, size)


def show(cases: dict[str, dict[str, Any]]) -> None:
    """A table for a terminal."""
    print("profile.sides  holds m/s  tiles/s  CPU us/tile  above: times the speed, shed, p50 ms, p99 ms")
    for name, one in cases.items():
        beyond = "; ".join(
            f"{factor}x {broken['shed_share']:.1%} {broken['p50_ms']:.0f} {broken['p99_ms']:.0f}"
            for factor, broken in one["breaks"].items()
        )
        cpu = one["cpu_us_a_tile"].get("all", "-")
        print(f"{name:<14} {one['holds_m_per_s']:>9} {one['tiles_per_s']:>8} {cpu:>12}  {beyond}")


def main() -> None:
    """Searches, prints the figures and writes them down."""
    chosen, profiles, size = asked(__doc__, "how long a speed must hold", Size(), QUICK)
    before = conditions("make bench-speed", "")
    env = {"STRIPWATCH_ENGINE": chosen.engine, "STRIPWATCH_ENGINE_WORKERS": str(chosen.workers)}
    with tempfile.TemporaryDirectory() as name:
        cases = measure(profiles, env, size, Path(name))
    before["redis"] = cases.pop("redis")
    bounds = {"seconds": size.seconds, "p99_bound_ms": round(P99_S * 1000), "budget_s": BUDGET_S}
    engine = {"engine": chosen.engine, "engine_workers": chosen.workers}
    write("line_speed", {**before, **engine, **bounds, **cases}, chosen.out)
    show(cases)


if __name__ == "__main__":
    main()
