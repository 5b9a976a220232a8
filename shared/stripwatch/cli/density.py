"""`stripwatch density`: how many cameras hold on this machine, and what it was measured to do."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from stripwatch.cli.interrupt import interrupt
from stripwatch.cli.model_checks import store
from stripwatch.cli.show import console, emit, table
from stripwatch.cli.where import JsonOption, here
from stripwatch.domain.names import printable
from stripwatch.errors import Conflict
from stripwatch.local.child import Sink
from stripwatch.runtime import cores
from stripwatch.sizing import PLACE, write_json, write_rates
from stripwatch.sizing.density import Density, Wanted, find_density
from stripwatch.sizing.profile import Profile, find_judges
from stripwatch.sizing.trial import Trial

BUSY = 0.5
"""Load average a core from which on a machine is not idle."""

_LOG = Path("var/density.log")


def density(
    rate: Annotated[float, typer.Option(metavar="FPS", min=0.1, max=10_000, help="Frames a second of each camera")],
    width_px: Annotated[int, typer.Option(min=100, max=65_536, help="Columns of a frame")] = 2000,
    height_px: Annotated[int, typer.Option(min=100, max=65_536, help="Rows of a frame")] = 200,
    tile_px: Annotated[int, typer.Option(min=16, max=1024, help="Side of a tile")] = 200,
    profile: Annotated[Profile, typer.Option(help="Which models")] = Profile.ACCURATE,
    p99_ms: Annotated[
        float, typer.Option("--p99-ms", min=1, max=60_000, help="From capture to result, for 99 of 100 frames")
    ] = 500.0,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Length of a trial")] = 10.0,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Preprocess workers")] = 1,
    classifiers: Annotated[int, typer.Option(min=1, max=16, help="Classifier replicas")] = 1,
    durable: Annotated[bool, typer.Option(help="Redis writes its file, as that of `stripwatch up` does")] = True,
    most: Annotated[int, typer.Option(min=1, max=4096, help="Look no further than so many cameras")] = 1024,
    rates: Annotated[Path, typer.Option(metavar="FILE", help="Where `stripwatch plan` looks for the rates")] = PLACE,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the result as JSON there too")] = None,
    as_json: JsonOption = False,
) -> None:
    """How many cameras at this frame rate hold on this machine.

    Runs the whole pipeline on an embedded Redis, offers it live simulated cameras, all of them at the same moment, and
    searches for the most of which no frame is lost and 99 of 100 are judged in time. Takes a trial of --seconds for
    each number that it tries. Let nothing else run meanwhile. What a tile cost is written down for `stripwatch plan`.
    Exits 1 if not even one camera holds.
    """
    other = here()
    if other:
        raise Conflict(
            f"a pipeline runs in this folder (process {other.pid}), which would be measured too: stop it first"
        )
    signal.signal(signal.SIGTERM, interrupt)
    wanted = Wanted(rate, profile, height_px, width_px, tile_px, p99_ms, seconds, workers, classifiers, durable, most)
    judges = find_judges(profile, store())
    if others := disturbance(os.getloadavg()[0], cores.available()):
        sys.stderr.write(f"warning: {others}\n")
    with _log() as sink, tempfile.TemporaryDirectory(prefix="stripwatch-") as folder:
        found = find_density(wanted, judges, Path(folder), sink, lambda trial: _tell(trial, wanted))
    document = plain(wanted, found, rates)
    if as_json:
        emit(document)
    else:
        show(wanted, found)
    write_rates(rates, profile, found.rates)  # after the result was shown: minutes of work are not lost to a bad path
    if out:
        write_json(out, document)
    if not as_json:
        console().print(printable(f"written to {rates}: `stripwatch plan` sizes a line by it"), soft_wrap=True)


def disturbance(load: float, here: int) -> str:
    """What is wrong with measuring on a machine whose load average is that; empty if nothing is."""
    if load < BUSY * here:
        return ""
    count = "1 core" if here == 1 else f"{here} cores"
    return f"the machine is busy (load average {load:.1f} on {count}): what is measured is what others leave of it"


def plain(wanted: Wanted, found: Density, place: Path) -> dict[str, Any]:
    """The result as plain values."""
    return {
        "cameras": found.cameras,
        "at_least": found.cameras == wanted.limit,
        "tiles_per_s": found.rates.tiles_per_s,
        "wanted": asdict(wanted),
        "trials": [{**asdict(one), "lost": one.lost, "holds": one.holds(wanted.p99_ms)} for one in found.trials],
        "rates": asdict(found.rates),
        "rates_file": str(place),
    }


def show(wanted: Wanted, found: Density) -> None:
    out = console()
    columns = ("cameras", "frames/s", "tiles/s", "frames", "lost", "p50 ms", "p99 ms", "worst ms", "")
    out.print(table(columns, [_row(wanted, one) for one in found.trials], right=columns[:-1]))
    best, rates = found.rates.cameras, found.rates
    least = "at least " if best == wanted.limit else ""
    out.print(
        f"\n{least}{best} {'camera' if best == 1 else 'cameras'} of {wanted.rate:g} frames/s hold here: no frame lost, "
        f"p99 at most {wanted.p99_ms:g} ms",
        style="bold",
        soft_wrap=True,
    )
    out.print(f"{rates.machine}; profile {wanted.profile.value}, {wanted.tiles_per_frame} tiles a frame\n")
    total = sum(rates.cpu_us_a_tile.values())
    costs = [
        (name, f"{cost:,.1f}", f"{1e6 / cost:,.0f}" if cost else "-") for name, cost in rates.cpu_us_a_tile.items()
    ]
    costs.append(("all", f"{total:,.1f}", f"{1e6 / total:,.0f}"))
    names = ("CPU time", "us a tile", "tiles/s a core")
    out.print(table(names, costs, right=names[1:]))
    out.print()


def _row(wanted: Wanted, trial: Trial) -> Sequence[str | Text]:
    frames = trial.cameras * wanted.rate
    late = (f"{ms:,.0f}" for ms in (trial.p50_ms, trial.p99_ms, trial.worst_ms))
    verdict = Text("holds", style="green") if trial.holds(wanted.p99_ms) else Text("does not hold", style="red")
    tiles = f"{frames * wanted.tiles_per_frame:,.0f}"
    return (f"{trial.cameras:,}", f"{frames:,.0f}", tiles, f"{trial.offered:,}", f"{trial.lost:,}", *late, verdict)


def _tell(trial: Trial, wanted: Wanted) -> None:
    """A trial takes its time: what came of each is told as it comes, on standard error."""
    verdict = "holds" if trial.holds(wanted.p99_ms) else "does not hold"
    cameras = "1 camera" if trial.cameras == 1 else f"{trial.cameras:,} cameras"
    sys.stderr.write(f"{cameras}: {verdict}, {trial.lost:,} of {trial.offered:,} lost, p99 {trial.p99_ms:,.0f} ms\n")


@contextmanager
def _log() -> Iterator[Sink]:
    """What the services say goes to a file."""
    _LOG.parent.mkdir(parents=True, exist_ok=True)
    with _LOG.open("w", encoding="utf-8") as log:

        def keep(name: str, line: str) -> None:
            if not log.closed:
                log.write(f"{name:<12} | {line}\n")
                log.flush()

        yield keep
