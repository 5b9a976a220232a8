"""What a fail-over behind Sentinels loses of what was acknowledged, and for how long nothing is taken.

One source publishes to one line all along. Writes benchmarks/results/failover.json.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from conditions import ROOT, conditions, write

from stripwatch.domain.frame import RunId
from stripwatch.errors import StripwatchError
from stripwatch.ports import Kind, LineStream, Outgoing
from stripwatch.stream import connect

sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "contract")]
from redis_servers import Watched, binaries, watched

RUN = RunId("line1", "s1", "r1")
BEFORE_S = 1.0
AFTER_S = 15.0
STEP_S = 0.005
CASES = (
    ("killed", 2, 0),
    ("killed", 2, 1),
    ("paused", 2, 0),
    ("paused", 2, 1),
    ("asked", 2, 1),
    ("asked", 1, 1),
    ("asked", 1, 0),
)
"""How the primary goes, replicas, min-replicas-to-write."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one fail-over; times from its beginning."""

    redis: str
    how: str
    replicas: int
    min_replicas_to_write: int
    acknowledged: int
    lost: int
    lost_from_s: float
    lost_to_s: float
    refused: int
    longest_gap_s: float
    """Longest time in which no frame was taken."""


def depose(plant: Watched, how: str) -> None:
    if how == "killed":
        plant.primary.process.kill()
        return
    if how == "paused":
        plant.primary.client().execute_command("CLIENT PAUSE 15000 WRITE")
    plant.sentinels[0].client().sentinel_failover("steel")


def publish(line: LineStream, plant: Watched, how: str) -> tuple[list[tuple[float, int]], int]:
    """When each acknowledged frame was acknowledged, and how many were refused."""
    taken: list[tuple[float, int]] = []
    number, refused, begun = 0, 0, time.monotonic()
    deposed = False
    while (since := time.monotonic() - begun - BEFORE_S) < AFTER_S:
        if since >= 0 and not deposed:
            deposed = True
            depose(plant, how)
        number += 1
        try:
            line.source.publish([Outgoing(Kind.FRAME, RUN, str(number).encode(), b"p")])
            taken.append((time.monotonic() - begun - BEFORE_S, number))
        except StripwatchError:
            refused += 1
        time.sleep(STEP_S)
    return taken, refused


def fail_over(version: str, binary: str, how: str, replicas: int, least: int) -> Outcome:
    with tempfile.TemporaryDirectory() as folder, watched(binary, Path(folder), replicas=replicas) as plant:
        for server in (plant.primary, *plant.replicas):
            server.client().config_set("min-replicas-to-write", least)
        line = connect(plant.url, timeout_s=2.0).line("line1")
        line.source.start_run(RUN, b"start", cameras=["top"], live=True, deadline_ms=3_600_000)
        taken, refused = publish(line, plant, how)
        [primary] = [server for server in plant.replicas if server.port == plant.named()]
        kept = {
            int(fields["b"]) for _, fields in primary.client().xrange("sw:{line1}:frames") if fields["k"] == "frame"
        }
    lost = [at for at, number in taken if number not in kept]
    gaps = [later - sooner for (sooner, _), (later, _) in pairwise(taken)]
    window = (round(lost[0], 2), round(lost[-1], 2)) if lost else (0.0, 0.0)
    return Outcome(version, how, replicas, least, len(taken), len(lost), *window, refused, round(max(gaps), 2))


def main() -> None:
    outcomes, made_by = [], conditions("make failover", "7.0.15 and 8.2")
    for version, binary in binaries().items():
        for case in CASES:
            outcomes.append(fail_over(version, binary, *case))
            print(json.dumps(asdict(outcomes[-1])), flush=True)
    write("failover", {"conditions": made_by, "outcomes": [asdict(one) for one in outcomes]})


if __name__ == "__main__":
    main()
