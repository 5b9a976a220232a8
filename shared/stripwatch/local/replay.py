"""A recording through a running pipeline, and what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stripwatch.feed import FeedRules
from stripwatch.local.pipeline import Pipeline
from stripwatch.recording import Recording, Replayer
from stripwatch.runtime.lifecycle import Lifecycle


def replay(
    pipeline: Pipeline, path: Path, *, recipe: str | None = None, timeout_s: float = 120.0
) -> list[dict[str, Any]]:
    """The verdicts as CloudEvents, in the order of the recording's runs. Flat out; each replay is a new run."""
    replayer = Replayer(pipeline.line(), FeedRules(live=False))
    runs = replayer.replay(Recording(path), Lifecycle(), recipe=recipe)
    return [json.loads(pipeline.verdict(run, timeout_s).event.json) for run in runs]
