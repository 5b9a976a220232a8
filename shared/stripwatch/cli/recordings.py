"""`stripwatch record` and `stripwatch replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stripwatch.cli.bars import bar
from stripwatch.cli.recipe_checks import book
from stripwatch.cli.show import console, emit, table
from stripwatch.cli.verdicts import show
from stripwatch.cli.where import JsonOption, LineOption, RedisOption, open_line
from stripwatch.errors import BadInput, DeadlineExceeded
from stripwatch.feed import FeedRules, Pace, by_capture_time, owner_name
from stripwatch.ports import Published
from stripwatch.recording import Consumers, Recorder, Recording, Replayer
from stripwatch.runtime.deadline import Deadline
from stripwatch.runtime.lifecycle import Lifecycle


def record(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to write it (MCAP)")],
    line: LineOption = None,
    redis: RedisOption = None,
    runs: Annotated[int, typer.Option(min=0, help="Stop after that many whole runs (0: at Ctrl-C)")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Write a line's frames to a file until Ctrl-C.

    Whole runs only: what began before or had not ended is left out.
    """
    lifecycle = Lifecycle()
    lifecycle.listen()
    with open_line(redis, line) as streams, bar() as progress:
        task = progress.add_task("frames", total=None)
        recorder = Recorder(
            streams,
            file,
            owner_name(),
            runs=runs,
            on_progress=lambda so_far: progress.update(task, completed=so_far.frames),
        )
        held = recorder.record(lifecycle)
    if as_json:
        runs_held = [{"strip": run.strip, "run": run.run} for run in held.whole]
        emit({"file": str(file), "runs": runs_held, "frames": held.frames, "bytes": held.bytes})
    else:
        console().print(table((str(file), ""), [("runs", str(len(held.whole))), ("frames", str(held.frames))]))


def replay(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A recording (MCAP)")],
    line: LineOption = None,
    redis: RedisOption = None,
    speed: Annotated[
        str, typer.Option(metavar="max|FACTOR", help="max: flat out; 1: as captured; 2: twice as fast")
    ] = "max",
    lock_step: Annotated[
        bool, typer.Option("--lock-step", help="Send a frame only when the last one is judged")
    ] = False,
    recipe: Annotated[str | None, typer.Option(help="Judge by this recipe [default: the one recorded]")] = None,
    wait: Annotated[float, typer.Option(min=0.0, help="Seconds to wait for workers, and for the verdicts")] = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Publish a recording again, and show its verdicts.

    Each replay is new runs; a line that a live source holds is refused.
    """
    pace = parse_pace(speed)
    if recipe is not None:
        book().find(recipe)
    recording = Recording(file)
    lifecycle = Lifecycle()
    lifecycle.listen()
    with open_line(redis, line) as streams:
        with bar() as progress:
            task = progress.add_task("frames", total=recording.frames)
            replayer = Replayer(
                streams,
                FeedRules(live=False),
                pace=pace,
                lock_step=lock_step,
                consumers=Consumers(wait_s=wait),
                on_frame=lambda _: progress.advance(task),
            )
            runs = replayer.replay(recording, lifecycle, recipe=recipe)
        found: list[Published] = []
        deadline = Deadline.after(wait)
        for run in runs:
            while (verdict := streams.verdicts.of(run)) is None:
                if not deadline.left():
                    raise DeadlineExceeded(f"run {run}: no verdict {wait:g} s after its last frame")
                if not lifecycle.sleep(0.05):
                    raise typer.Exit(130)
            found.append(verdict)
    show(found, as_json=as_json)


def parse_pace(speed: str) -> Pace:
    """`max` or a factor; BadInput for anything else."""
    if speed == "max":
        return Pace()
    try:
        return Pace(by_capture_time(float(speed)))
    except ValueError:
        raise BadInput(f"--speed: expected max or a factor, got {speed!r}") from None
