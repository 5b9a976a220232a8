"""`stripwatch models measure`: which engine is the fastest here, written down for the services."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, get_args

import typer

from stripwatch.cli.bars import bar
from stripwatch.cli.model_checks import store
from stripwatch.cli.show import console, emit, table
from stripwatch.cli.trials import Candidate, Effort, Found, measure
from stripwatch.cli.where import JsonOption, here
from stripwatch.domain.names import printable
from stripwatch.errors import BadInput, Conflict, NotFound, SettingsInvalid, StripwatchError
from stripwatch.models.choice import PLACE, EngineChoice, Trial, best, workers_of
from stripwatch.models.engines import EngineName, builder
from stripwatch.models.store import ModelFolder
from stripwatch.runtime import cores


def command(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME[/VERSION]]...", help="The newest version of each by default")
    ] = None,
    threads: Annotated[
        list[int] | None,
        typer.Option("--threads", min=1, help="Threads inside an engine, again for more [default: 1 and all cores]"),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=100, help="Turns of each model on each engine")] = 5,
    seconds: Annotated[float, typer.Option("--seconds", min=0.01, max=60, help="Length of a turn")] = 0.5,
    batch: Annotated[int, typer.Option("--batch", min=1, max=1024, help="Tiles in one run of an engine")] = 16,
    write: Annotated[
        bool, typer.Option("--write", help="Write down what is best: services take it from there")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """How fast each engine that is installed here runs the models, on all cores; which one to take.

    Each engine takes its turns in a process of its own, as many engines at once as fill the cores. All models share
    one engine: the one that takes the least time for a tile through each of them. With --write the services take it
    from their next start on: from var/engine.json in the folder that they run in, or where STRIPWATCH_ENGINE_FILE
    says; STRIPWATCH_ENGINE overrules it. Let nothing else run meanwhile.
    """
    other = here()
    if other:
        raise Conflict(
            f"a pipeline runs in this folder (process {other.pid}), which would slow them all: stop it first"
        )
    folders = _folders(models or [])
    candidates, absent = _candidates(threads or sorted({1, cores.available()}))
    effort = Effort(rounds, seconds, batch)
    with bar() as progress:
        turns = progress.add_task("turns", total=rounds * len(folders) * len(candidates))
        found = measure(folders, candidates, effort, lambda: progress.advance(turns))
    if not found.trials:
        raise StripwatchError("no engine runs these models: " + "; ".join(_reasons(found)))
    choice = _choice(found.trials, batch)
    place = Path(os.environ.get("STRIPWATCH_ENGINE_FILE") or PLACE)
    if write:
        choice.write(place)
    if as_json:
        emit(choice.model_dump(mode="json"))
    else:
        _show(choice, found, absent, place if write else None)


def _folders(names: Sequence[str]) -> list[ModelFolder]:
    there = store()
    names = names or list(dict.fromkeys(folder.ref.name for folder in there.folders()))
    if not names:
        raise NotFound(f"no models in {there}")
    return list(dict.fromkeys(there.find(name) for name in names))


def _candidates(threads: Sequence[int]) -> tuple[list[Candidate], list[EngineName]]:
    """The installed engines, ONNX Runtime with one thread each first; and the names of the others."""
    usable = cores.available()
    if max(threads) > usable:
        raise BadInput(f"--threads: expected at most the {usable} cores that may be used here, got {max(threads)}")
    candidates, absent = [], []
    for name in get_args(EngineName):
        try:
            builder(name)
        except SettingsInvalid:
            absent.append(name)
        else:
            candidates += [Candidate(name, count, usable // count) for count in sorted(set(threads))]
    return candidates, absent


def _choice(trials: Sequence[Trial], batch: int) -> EngineChoice:
    chosen, usable = best(trials), cores.available()
    return EngineChoice(
        format=1,
        engine=chosen.engine,
        threads=chosen.threads,
        workers=workers_of(chosen),
        machine=f"{usable} cores, {platform.machine()}, {sys.platform}",
        cores=usable,
        measured_at=datetime.now(UTC).replace(microsecond=0),
        batch=batch,
        measured=tuple(trials),
    )


def _reasons(found: Found) -> list[str]:
    return [f"{candidate}: {why}" for candidate, why in found.refused.items()]


def _show(choice: EngineChoice, found: Found, absent: Sequence[str], written: Path | None) -> None:
    out = console()
    speeds = ("model", "engine", "engines x threads", "tiles/s", "CPU us a tile", "x slowest")
    out.print(table(speeds, _speeds(choice.measured), right=speeds[2:], fold="engine"))
    out.print()
    sums = ("engine", "engines x threads", "MiB at rest", "MiB under load", "us a tile, all models")
    out.print(table(sums, _sums(choice.measured), right=sums[1:], fold="engine"))
    out.print()
    for line in _reasons(found):
        out.print(printable(f"left out: {line}"))
    if absent:
        out.print(f"not installed here: {', '.join(absent)}")
    threads = "thread" if choice.threads == 1 else "threads"
    out.print(f"best: {choice.engine}, {choice.threads} {threads} an engine, {choice.workers} a model and service")
    out.print(printable(f"written to {written}" if written else "not written down: --write"))


def _speeds(trials: Sequence[Trial]) -> Iterator[tuple[str, ...]]:
    for model in trials[0].rates:
        slowest = min(trial.rates[model].tiles_per_s for trial in trials)
        for trial in trials:
            rate = trial.rates[model]
            figures = (f"{rate.tiles_per_s:,.0f}", f"{rate.cpu_us_a_tile:,.0f}", f"{rate.tiles_per_s / slowest:.2f}")
            yield (model, rate.version, _layout(trial), *figures)


def _sums(trials: Sequence[Trial]) -> Iterator[tuple[str, ...]]:
    for trial in trials:
        figures = (f"{trial.rest_mib:.0f}", f"{trial.load_mib:.0f}", f"{trial.seconds * 1e6:,.0f}")
        yield (trial.engine, _layout(trial), *figures)


def _layout(trial: Trial) -> str:
    return f"{trial.engines} x {trial.threads}"
