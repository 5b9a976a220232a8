"""A recording's runs as new ones: the same frames under other names."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from stripwatch.domain.frame import Frame, RunId
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.feed.naming import new_run_id


def as_new_runs(
    events: Iterable[RunStart | Frame | CameraEnd], line: str, *, live: bool = False, recipe: str | None = None
) -> Iterator[RunStart | Frame | CameraEnd]:
    """The same events as new runs of `line`: only run, line, start time, `live` and, if given, the recipe differ."""
    names: dict[RunId, RunId] = {}
    for event in events:
        if isinstance(event, RunStart):
            if event.run in names:
                continue
            run = names[event.run] = RunId(line, event.run.strip, new_run_id())
            yield replace(
                event,
                run=run,
                started_at_ns=time.time_ns(),
                live=live,
                recipe=event.recipe if recipe is None else recipe,
            )
        elif isinstance(event, Frame):
            yield Frame(replace(event.header, run=names[event.header.run]), event.pixels)
        else:
            yield replace(event, run=names[event.run])
