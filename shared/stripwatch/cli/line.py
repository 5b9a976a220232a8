"""`stripwatch line`: hold a line's sources back, let them go, see how it stands."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from stripwatch.cli.attended import warn_unattended
from stripwatch.cli.show import console, emit, table
from stripwatch.cli.where import JsonOption, RedisOption, only_line, open_line
from stripwatch.feed import end_abandoned, owner_name
from stripwatch.ports import LineState, LineStream

app = typer.Typer(help="Pause, drain and resume a rolling line.", no_args_is_help=True)

Line = Annotated[
    str | None, typer.Argument(metavar="[LINE]", help="Rolling line [default: the only one that `up` runs]")
]


def _set(redis: str | None, line: str | None, state: LineState) -> None:
    with open_line(redis, only_line(line)) as streams:
        streams.source.set_state(state)
        console().print(f"{streams.line} is {state.value}")
        warn_unattended(streams)


@app.command()
def pause(line: Line = None, redis: RedisOption = None) -> None:
    """Sources hold frames back: replays wait, live ones shed and say so."""
    _set(redis, line, LineState.PAUSED)


@app.command()
def drain(line: Line = None, redis: RedisOption = None) -> None:
    """No new run starts; open ones are finished."""
    _set(redis, line, LineState.DRAINING)


@app.command()
def resume(line: Line = None, redis: RedisOption = None) -> None:
    """Everything flows again."""
    _set(redis, line, LineState.RUNNING)


@app.command()
def close(line: Line = None, redis: RedisOption = None) -> None:
    """Ends open runs whose source is gone, so that they get their verdicts."""
    with open_line(redis, only_line(line)) as streams:
        ended = end_abandoned(streams, owner_name())
    for run in ended:
        console().print(f"{run.strip}/{run.run} is ended: its verdict says what was missing")
    if not ended:
        console().print(f"{streams.line} has no open run without its ends")


@app.command()
def status(line: Line = None, redis: RedisOption = None, as_json: JsonOption = False) -> None:
    """State, open runs, what waits, and who is alive."""
    with open_line(redis, only_line(line)) as streams:
        facts = line_facts(streams)
        warn_unattended(streams)
    if as_json:
        emit(facts)
        return
    rows = [
        ("state", facts["state"]),
        ("open runs", ", ".join(facts["open_runs"]) or "none"),
        ("frames waiting", f"{facts['frames']['waiting']} ({facts['frames']['pending']} at work)"),
        ("results waiting", f"{facts['results']['waiting']} ({facts['results']['pending']} at work)"),
        *((stage, ", ".join(who)) for stage, who in facts["alive"].items()),
    ]
    console().print(table((facts["line"], ""), rows))


def line_facts(streams: LineStream) -> dict[str, Any]:
    """How the line stands, as plain values."""
    waiting = {"frames": streams.frames.backlog(), "results": streams.results.backlog()}
    return {
        "line": streams.line,
        "state": streams.source.state().value,
        "open_runs": [f"{run.strip}/{run.run}" for run in streams.runs.open_runs()],
        **{name: {"waiting": one.waiting, "pending": one.pending} for name, one in waiting.items()},
        "alive": streams.beats.alive(),
    }
