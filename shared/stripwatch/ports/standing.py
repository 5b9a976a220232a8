"""How a line stands: `no defect` and `inspector stopped` must look different to whoever waits for verdicts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stripwatch.ports.line import LineStream
from stripwatch.ports.queue import Backlog
from stripwatch.ports.source import LineState

WORKERS = ("preprocess", "aggregate")
STAGES = ("ingest", *WORKERS)
"""All that a strip needs on its way from the camera to its verdict."""
OLD_MS = 60_000
"""What waits for longer than this is stuck."""

_SOURCES = ("ingest", "replay")


@dataclass(frozen=True, slots=True)
class Standing:
    """A line at one moment. `alive` counts its workers by stage."""

    line: str
    state: LineState
    alive: Mapping[str, int]
    frames: Backlog
    results: Backlog
    open_runs: int
    at_ns: int

    def obstacles(self, needed: Sequence[str] = STAGES) -> list[str]:
        """Why a strip that comes now is not inspected, a phrase each; none while it is."""
        found = [f"no {stage} was heard of" for stage in needed if not self.alive[stage]]
        if self.state is not LineState.RUNNING:
            found.append(f"it is {self.state.value}")
        for name, backlog in (("frames", self.frames), ("results", self.results)):
            if backlog.waiting and backlog.oldest_ms > OLD_MS:
                found.append(f"{name} have waited for {backlog.oldest_ms / 1000:.0f} s")
        return found


def workers(line: LineStream) -> dict[str, int]:
    """How many were heard of lately, by stage; a replay counts as ingest."""
    heard = line.beats.alive()
    return {
        "ingest": sum(len(heard.get(stage, [])) for stage in _SOURCES),
        **{stage: len(heard.get(stage, [])) for stage in WORKERS},
    }


def standing(line: LineStream) -> Standing:
    """How the line stands now. StreamUnavailable if that cannot be told."""
    return Standing(
        line=line.line,
        state=line.source.state(),
        alive=workers(line),
        frames=line.frames.backlog(),
        results=line.results.backlog(),
        open_runs=len(line.runs.open_runs()),
        at_ns=time.time_ns(),
    )
