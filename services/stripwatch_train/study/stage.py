"""A stage of the study: measures one thing, keeps what it found, and tells it on the page."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from stripwatch_train.results import write_results
from stripwatch_train.study.plots import Plots
from stripwatch_train.study.study import Study

_console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Stage:
    """`measure` gives plain numbers for `docs/results/NAME.json`; `tell` makes Markdown of them and draws its plots."""

    name: str
    measure: Callable[[Study], dict[str, Any]]
    tell: Callable[[dict[str, Any], Plots], str]


def found(study: Study, stage: Stage) -> dict[str, Any] | None:
    """What the stage found on this data and backbone; None if it has not run, or on others."""
    file = study.results / f"{stage.name}.json"
    if not file.is_file():
        return None
    figures: dict[str, Any] = json.loads(file.read_text())
    same = figures["data_sha256"] == study.neu.sha256 and figures["backbone_sha256"] == study.backbone_sha256
    return figures if same else None


def run(study: Study, stage: Stage) -> None:
    """Measure and write the result file."""
    _console.rule(stage.name)
    begun = time.monotonic()
    figures = stage.measure(study)
    seconds = round(time.monotonic() - begun)
    origin = {"backbone_sha256": study.backbone_sha256, "seconds": seconds}
    write_results(study.results / f"{stage.name}.json", study.neu.sha256, {**origin, **figures})
    _mark(study, stage).touch()
    _console.print(f"{stage.name}: {seconds} s")


def missing(study: Study, stages: Sequence[Stage]) -> list[Stage]:
    """Stages that have not run here, on this data and backbone: committed figures came from somewhere else."""
    return [stage for stage in stages if found(study, stage) is None or not _mark(study, stage).is_file()]


def _mark(study: Study, stage: Stage) -> Path:
    return study.cache / f"{stage.name}-{hashlib.sha256(study.origin.encode()).hexdigest()[:12]}.done"
