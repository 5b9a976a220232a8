"""Strips into a running stack by its own ingest, and their verdicts out of it by its own command line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from containers.stack import PATIENCE_S, Stack, until
from stripwatch.domain.frame import RunId
from stripwatch.local.feeds import simulator_settings
from stripwatch.simulate.series import StripSeries

LINE = "line1"
FRAME_ROWS = 200
WITHOUT_END = 0
SERIES = StripSeries(3_000_000, 2_000.0, 400.0, 0.5, defects=(0, 2, 3))
Verdict = dict[str, Any]
"""The `data` of a verdict's event is under `data`: docs/mes.md."""


@dataclass(frozen=True, slots=True)
class Strips:
    """Simulated strips of known seeds, sent under the name of one run; `speed` in m/s, None: flat out."""

    run: str
    count: int
    speed: float | None = None
    series: StripSeries = SERIES

    def again(self, run: str, count: int | None = None) -> Strips:
        """The same strips, flat out, as another run."""
        return replace(self, run=run, count=self.count if count is None else count, speed=None)

    def runs(self) -> list[RunId]:
        return [RunId(LINE, self.series.strip(number), self.run) for number in range(self.count)]

    @property
    def frames(self) -> int:
        """Of one strip, at least."""
        return math.ceil(self.series.length_mm / self.series.mm_per_px / FRAME_ROWS)

    def settings(self) -> dict[str, str]:
        return simulator_settings(self.series, self.count, self.run, self.speed)


@contextmanager
def sending(stack: Stack, strips: Strips) -> Iterator[str]:
    """The ingest that sends them, as a container of its own; at the end of the block it is told to stop, and gone."""
    given = [part for name, value in strips.settings().items() for part in ("-e", f"{name}={value}")]
    name = f"{stack.project}-sends-{strips.run}"
    stack.compose("run", "-d", "--no-deps", "--use-aliases", "--name", name, *given, "ingest")
    try:
        yield name
    finally:
        stack.docker("stop", name)
        stack.docker("rm", "-f", name)


def sent(stack: Stack, strips: Strips) -> list[Verdict]:
    """Sends them all, and waits for their verdicts, in the order of the strips."""
    with sending(stack, strips) as source:
        until(lambda: not stack.inspect(source)["State"]["Running"], f"run {strips.run} was sent")
        assert stack.inspect(source)["State"]["ExitCode"] == 0, stack.docker("logs", source)
        return awaited(stack, strips)


def awaited(stack: Stack, strips: Strips, seconds: float = PATIENCE_S) -> list[Verdict]:
    """Their verdicts, once all are there, in the order of the strips."""
    wanted = [run.strip for run in strips.runs()]
    until(lambda: set(wanted) <= of_run(stack, strips.run).keys(), f"{len(wanted)} verdicts of {strips.run}", seconds)
    found = of_run(stack, strips.run)
    return [found[strip] for strip in wanted]


def of_run(stack: Stack, run: str) -> dict[str, Verdict]:
    """By strip; no strip has two."""
    found = [one for one in verdicts(stack) if one["data"]["jobId"] == run]
    by_strip = {one["data"]["partId"]: one for one in found}
    assert len(by_strip) == len(found), f"run {run}: a strip has two verdicts"
    return by_strip


def verdicts(stack: Stack) -> list[Verdict]:
    """All that are kept, as the operator reads them."""
    said = stack.compose("run", "--rm", "-T", "--no-deps", "cli", "verdicts", "--json", "--cursor", "0")
    return [one["event"] for one in json.loads(said)]


def incomplete(strips: Strips, found: list[Verdict]) -> list[str]:
    """What is not as it should be: every frame judged, nothing lost, all of the strip seen."""
    wrong = []
    for verdict in found:
        data = verdict["data"]
        (camera,) = data["cameras"]
        lost = {name: camera[name] for name in ("failed", "shed", "neverSeen") if camera[name]}
        if lost or camera["judged"] != camera["expected"] or camera["judged"] < strips.frames:
            wrong.append(f"{data['partId']}: {camera['judged']} judged of {camera['expected']}, {lost}")
        if data["coverage"] != 1 or data["isPartial"] or not camera["ended"]:
            wrong.append(f"{data['partId']}: coverage {data['coverage']}, partial {data['isPartial']}")
    return wrong
