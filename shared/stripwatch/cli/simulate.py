"""`stripwatch simulate`: strips with known defects, for trying a line out."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from stripwatch.cli.attended import require_flow
from stripwatch.cli.bars import bar
from stripwatch.cli.interrupt import interrupt
from stripwatch.cli.recipe_checks import book
from stripwatch.cli.show import console, emit, metres, table
from stripwatch.cli.where import JsonOption, LineOption, RedisOption, open_line, redis_address
from stripwatch.domain.frame import RunId
from stripwatch.errors import StripwatchError
from stripwatch.feed import new_run_id
from stripwatch.local.child import Child
from stripwatch.local.feeds import simulator_settings
from stripwatch.local.services import DRAIN_S, ingest_spec
from stripwatch.ports import LineStream
from stripwatch.simulate import Flaw
from stripwatch.simulate.series import StripSeries

WIDTH_MM = 400.0
MM_PER_PX = 0.5


def simulate(
    strips: Annotated[int, typer.Option(min=1, max=10_000, help="How many")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The first strip's; the others count up from it")] = 2_000_000,
    clean: Annotated[bool, typer.Option("--clean", help="Strips without a defect")] = False,
    speed: Annotated[
        float | None, typer.Option(min=0.01, metavar="M/S", help="As the strip runs [default: flat out]")
    ] = None,
    length_m: Annotated[float, typer.Option("--length-m", min=0.5, max=10_000.0, help="Length of each strip")] = 6.0,
    recipe: Annotated[str | None, typer.Option(help="Judge by this recipe [default: hot-rolled]")] = None,
    wait: Annotated[float, typer.Option(min=0.0, help="Seconds to wait for workers")] = 30.0,
    line: LineOption = None,
    redis: RedisOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send simulated strips into a line.

    Says what is truly on them; `stripwatch verdicts` says what was seen.
    """
    series = StripSeries(seed, length_m * 1000, WIDTH_MM, MM_PER_PX, defects=(0,) if clean else ())
    if recipe is not None:
        book().find(recipe)
    run = new_run_id()
    settings = simulator_settings(series, strips, run, speed, recipe)
    signal.signal(signal.SIGTERM, interrupt)
    with open_line(redis, line) as streams:
        require_flow(streams, wait)
        runs = [RunId(streams.line, series.strip(number), run) for number in range(strips)]
        feed = Child(ingest_spec("ingest", redis_address(redis), streams.line, settings), _pass_on)
        try:
            feed.start()
            watch(feed, streams, runs)
        finally:
            feed.terminate()  # it ends the open run and says how far it came
            feed.wait(DRAIN_S + 5.0)
    if feed.code != 0:
        raise StripwatchError(f"ingest {feed.reason}: {feed.last_words}")
    truths = [(one, series.truth(number)) for number, one in enumerate(runs)]
    if as_json:
        emit(
            [
                {"line": one.line, "strip": one.strip, "run": one.run, "truth": [plain(flaw) for flaw in flaws]}
                for one, flaws in truths
            ]
        )
    else:
        console().print(truth_table(truths))


def watch(feed: Child, streams: LineStream, runs: Sequence[RunId]) -> None:
    """A bar over the strips sent so far, until the source is done."""
    with bar() as progress:
        task = progress.add_task("strips sent", total=len(runs))
        sent = 0
        while feed.running:
            while sent < len(runs) and _ended(streams, runs[sent]):
                sent += 1
            progress.update(task, completed=sent)
            time.sleep(0.1)


def _ended(streams: LineStream, run: RunId) -> bool:
    """Whether the run's ends went out: all of them were seen, or it has its verdict."""
    state = streams.runs.state(run)
    if state is None:
        return streams.work.info(run).closed
    return all(camera.end for camera in state.cameras.values())


def plain(flaw: Flaw) -> dict[str, Any]:
    """A flaw as plain values."""
    box = flaw.box
    place = {"x_mm": box.x_mm, "y_mm": box.y_mm, "length_mm": box.length_mm, "width_mm": box.width_mm}
    return {"label": flaw.label, "side": flaw.side.value, **place}


def truth_table(truths: Sequence[tuple[RunId, Sequence[Flaw]]]) -> Table:
    rows = []
    for run, flaws in truths:
        if not flaws:
            rows.append((run.strip, "none", "", "", "", ""))
        for number, flaw in enumerate(flaws):
            box = flaw.box
            size = f"{box.length_mm:.0f} x {box.width_mm:.0f} mm"
            rows.append(
                (
                    run.strip if number == 0 else "",
                    flaw.label,
                    flaw.side.value,
                    metres(box.x_mm),
                    f"{box.y_mm:.0f} mm",
                    size,
                )
            )
    columns = ("strip", "truth", "side", "from head", "from edge", "size")
    return table(columns, rows, right=("from head", "from edge", "size"))


def _pass_on(_name: str, line: str) -> None:
    """What the source logs is shown only where something is wrong."""
    if "WARNING" in line or "ERROR" in line:
        sys.stderr.write(line + "\n")
