"""What spans say of runs and frames: one name for each, everywhere."""

from __future__ import annotations

from stripwatch.domain.frame import FrameHeader, RunId
from stripwatch.runtime.tracing.span import Fact


def of_run(run: RunId) -> dict[str, Fact]:
    return {"stripwatch.line": run.line, "stripwatch.strip": run.strip, "stripwatch.run": run.run}


def of_frame(header: FrameHeader) -> dict[str, Fact]:
    return {**of_run(header.run), "stripwatch.camera": header.camera, "stripwatch.frame": header.index}
