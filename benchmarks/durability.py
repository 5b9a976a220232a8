"""What a killed Redis loses, by its `appendfsync`, and what the pipeline makes of it.

Redis is killed at random moments while short runs go through the real services; afterwards everything that it had
acknowledged is looked for. Writes benchmarks/results/durability.json.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conditions import ROOT, conditions, write
from kill import Kill, sums
from killed_redis import KilledRedis
from small_frames import write_recipe
from witnesses import FRAMES, SETTLE_S, SIDE_PX, Feeder, Reader

from stripwatch.domain.frame import RunId
from stripwatch.feed import end_abandoned
from stripwatch.local.pipeline import Pipeline
from stripwatch.local.redis import version_of
from stripwatch.ports import LineStream
from stripwatch.rpc.codec.verdicts import decode_verdict

sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "contract")]
from redis_servers import binaries

from tiny_models import write_pair

BY_HAND_S = 5.0
"""How long a run stays open with nothing on its way before an operator closes it."""
LOAD_S = (0.8, 2.5)
"""Shortest and longest time between a start and a kill."""
CASES = (("always", False), ("always", True), ("everysec", False), ("everysec", True), ("off", False))
"""`appendfsync`, and whether the power goes as well. With the file off both are the same."""
COLUMNS = (
    *("kills", "starts", "frames", "absent", "starts_lost", "frames_lost", "verdicts_gone", "decided_again"),
    *("ids_changed", "unread", "closed_by_hand", "open_at_the_end", "cursors_lost", "settled_s_median"),
)
"""Of the table for a terminal."""


class Trial:
    """One server and mode: the services, a source and an MES go on while Redis is killed again and again."""

    def __init__(self, redis: KilledRedis, pipeline: Pipeline, rng: random.Random) -> None:
        self._redis, self._pipeline, self._rng = redis, pipeline, rng
        self._line: LineStream = pipeline.line()
        self._feeder, self._reader = Feeder(redis.url), Reader(redis.url)
        self._counted: set[RunId] = set()
        self._gone: set[RunId] = set()
        self._feeder.begin()

    def kill(self) -> Kill:
        """Load, kill, restart, count, go on, settle, count."""
        source, noted = self._feeder.source, self._feeder.noted
        assert source is not None
        self._feeder.go_on()
        self._pipeline.sleep(self._rng.uniform(*LOAD_S))
        self._redis.kill()
        source.shut.set()
        self._pipeline.sleep(0.1)  # for what the MES has in hand
        read_before = {run: list(verdicts)[-1] for run, verdicts in self._reader.read.items()}
        fresh = set(noted.starts) - self._counted
        frames = sum(noted.frames[run] for run in fresh)
        starts_before = Counter(noted.starts)
        self._redis.start()
        back = time.monotonic()
        absent = {run for run in fresh if self._line.runs.state(run) is None and not self._line.work.info(run).closed}
        gone = {run for run, cursor in read_before.items() if self._cursor(run) != cursor} - self._gone
        self._gone |= gone
        source.shut.clear()
        self._pipeline.sleep(0.3)
        self._feeder.rest()
        by_hand, still_open = self._settle()
        settled = time.monotonic() - back
        return self._count(
            fresh,
            frames=frames,
            verdicts_read=len(read_before),
            absent=len(absent),
            gone=len(gone),
            again=sum(noted.starts[run] > starts_before[run] for run in absent),
            by_hand=by_hand,
            still_open=still_open,
            settled=settled,
        )

    def _cursor(self, run: RunId) -> str:
        found = self._line.verdicts.of(run)
        return found.cursor if found else ""

    def _settle(self) -> tuple[int, int]:
        """Waits until nothing is open or waits, and the MES has read all: runs closed by hand, runs still open.

        A replay whose end was acknowledged and lost is over for its source and for nobody else: after a while an
        operator closes it, as by `stripwatch line close`.
        """
        line, by_hand = self._line, 0
        quiet_since, deadline = time.monotonic(), time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            self._pipeline.sleep(0.05)
            if line.frames.backlog().waiting or line.results.backlog().waiting:
                quiet_since = time.monotonic()
            elif not line.runs.open_runs():
                if self._reader.cursor == line.verdicts.latest() or not line.verdicts.page("", 1):
                    break
            elif time.monotonic() - quiet_since > BY_HAND_S:
                by_hand += len(end_abandoned(line, "operator"))
                quiet_since = time.monotonic()
        return by_hand, len(line.runs.open_runs())

    def _count(
        self,
        fresh: set[RunId],
        *,
        frames: int,
        verdicts_read: int,
        absent: int,
        gone: int,
        again: int,
        by_hand: int,
        still_open: int,
        settled: float,
    ) -> Kill:
        noted, read = self._feeder.noted, self._reader.read
        self._counted |= set(noted.starts)
        starts_lost = frames_lost = unread = 0
        for run in fresh:
            found = self._line.verdicts.of(run)
            unread += found is not None and run not in read
            if found is not None:
                (camera,) = decode_verdict(found.event.body).cameras
                frames_lost += max(0, min(noted.frames[run], FRAMES) - camera.judged)
            elif run not in read:
                starts_lost += 1
                frames_lost += min(noted.frames[run], FRAMES)
        twice = [verdicts for run, verdicts in read.items() if run in fresh and len(verdicts) > 1]
        return Kill(
            starts=len(fresh),
            frames=frames,
            verdicts_read=verdicts_read,
            absent=absent,
            verdicts_gone=gone,
            started_again=again,
            starts_lost=starts_lost,
            frames_lost=frames_lost,
            decided_again=len(twice),
            ids_changed=sum(len(set(verdicts.values())) > 1 for verdicts in twice),
            unread=unread,
            closed_by_hand=by_hand,
            open_at_the_end=still_open,
            settled_s=round(settled, 2),
            cut_bytes=self._redis.cut_bytes,
        )

    def finish(self) -> int:
        """Ends the source and the MES; how often its cursor was refused as lost."""
        self._feeder.finish()
        self._reader.finish()
        return self._reader.cursors_lost


def trial(binary: str, mode: str, folder: Path, kills: int, rng: random.Random, *, power_cut: bool) -> dict[str, Any]:
    """The sums over that many kills."""
    models = folder / "models"
    write_pair(models)
    env = {
        "STRIPWATCH_MODELS": str(models),
        "STRIPWATCH_RECIPES": str(write_recipe(folder / "recipes", SIDE_PX)),
        "STRIPWATCH_CLAIM_IDLE_SECONDS": "1",
    }
    server = KilledRedis(binary, folder / "redis", mode, power_cut=power_cut)
    server.start()
    try:
        with Pipeline(folder, redis_url=server.url, env=env) as pipeline:
            running = Trial(server, pipeline, rng)
            try:
                all_kills = [running.kill() for _ in range(kills)]
            finally:
                cursors_lost = running.finish()
    finally:
        server.stop()
    return {"cursors_lost": cursors_lost, **sums(all_kills)}


def show(rows: Sequence[dict[str, Any]]) -> None:
    """A table for a terminal."""
    print("redis   mode              ", *COLUMNS)
    for row in rows:
        how = f"{row['appendfsync']}{', power cut' if row['power_cut'] else ''}"
        print(f"{row['redis']:<7} {how:<19}", *(f"{row[name]:>{len(name)}}" for name in COLUMNS))


def main() -> None:
    """Every server at hand in every mode; prints the figures and writes them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10, help="of each server in each mode")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="one mode: always, everysec, off")
    parser.add_argument("--out", type=Path, default=None)
    chosen = parser.parse_args()
    versions = [".".join(map(str, version_of(binary))) for binary in binaries().values()]
    before = conditions("make durability", ", ".join(versions))
    rows: list[dict[str, Any]] = []
    for version, binary in zip(versions, binaries().values(), strict=True):
        for mode, power_cut in CASES:
            if chosen.only not in ("", mode):
                continue
            if power_cut and shutil.which("strace") is None:
                print(f"Redis {version}, {mode}: no strace here, so no power cut")
                continue
            with tempfile.TemporaryDirectory() as name:
                rng = random.Random(f"{chosen.seed} {version} {mode} {power_cut}")
                found = trial(binary, mode, Path(name), chosen.kills, rng, power_cut=power_cut)
            rows.append({"redis": version, "appendfsync": mode, "power_cut": power_cut, **found})
            print(json.dumps(rows[-1]), flush=True)
            write("durability", {**before, "frames_a_run": FRAMES, "seed": chosen.seed, "rows": rows}, chosen.out)
    show(rows)


if __name__ == "__main__":
    main()
