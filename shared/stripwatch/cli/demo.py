"""`stripwatch demo`: strips through the whole pipeline, each verdict beside the truth."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stripwatch.cli.demo_page import DemoPage
from stripwatch.cli.interrupt import interrupt
from stripwatch.cli.simulate import MM_PER_PX, WIDTH_MM
from stripwatch.domain.frame import RunId
from stripwatch.domain.recipe import Disposition
from stripwatch.domain.verdict import StripVerdict
from stripwatch.errors import DeadlineExceeded
from stripwatch.feed import new_run_id, safe_name
from stripwatch.local import Pipeline
from stripwatch.local.child import Child
from stripwatch.local.feeds import folder_settings, simulator_settings
from stripwatch.recipes import RecipeBook, default_folders
from stripwatch.rpc.codec.frames import decode_start
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.simulate.agreement import compare
from stripwatch.simulate.series import StripSeries

SERIES = StripSeries(1_000_000, 6000.0, WIDTH_MM, MM_PER_PX, defects=(0, 3, 4))
"""One clean strip and two with defects; seeds from 1,000,000 on are never trained on."""
STRIPS = 3
SPEED = 4.0
"""m/s."""
RECIPE = "hot-rolled"

_LOG = Path("var/demo.log")
_QUIET_S = 90.0
"""A strip on which nothing happens for this long will get no verdict."""

FramesOption = Annotated[
    Path | None,
    typer.Option("--frames", metavar="DIR", exists=True, file_okay=False, help="Your own images, as one strip"),
]


def demo(frames: FramesOption = None) -> None:
    """Simulated strips with their verdicts, live.

    Runs everything on an embedded Redis; ends with 0 when each verdict agrees with the truth.
    """
    signal.signal(signal.SIGTERM, interrupt)
    page = DemoPage(Console(highlight=False))
    with pipeline(page) as running:
        agreed = judge_folder(page, running, frames) if frames else judge_series(page, running)
        with page.working("stopping"):
            running.stop()
    if not agreed:
        page.say(f"The services' logs are in {_LOG}")
        raise typer.Exit(1)


@contextmanager
def pipeline(page: DemoPage) -> Iterator[Pipeline]:
    """Everything on an embedded Redis in a temporary folder; logs go to a file."""
    _LOG.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stripwatch-") as folder, _LOG.open("w", encoding="utf-8") as log:

        def keep(name: str, line: str) -> None:
            log.write(f"{name:<12} | {line}\n")
            log.flush()

        started = time.monotonic()
        running = Pipeline(Path(folder), sink=keep)
        try:
            with page.working("starting Redis, classifier, anomaly, preprocess, aggregator"):
                running.start()
            page.title("stripwatch demo")
            took = time.monotonic() - started
            page.say(f"Redis, classifier, anomaly, preprocess and aggregator are ready ({took:.1f} s)", style="dim")
            yield running
        finally:
            running.stop()


def judge_series(page: DemoPage, running: Pipeline) -> bool:
    """The simulated strips; whether all verdicts agree with the truth."""
    run = new_run_id()
    runs = [RunId(running.plan.lines[0], SERIES.strip(number), run) for number in range(STRIPS)]
    page.say(f"{STRIPS} simulated strips of {SERIES.length_mm / 1000:g} m follow at {SPEED:g} m/s", style="dim")
    feed = running.feed(simulator_settings(SERIES, STRIPS, run, SPEED))
    tile_mm = RecipeBook(default_folders()).find(RECIPE).cutting.tile_px * SERIES.mm_per_px
    right = found = true = 0
    for number, verdict in enumerate(verdicts(page, running, feed, runs)):
        flaws = SERIES.truth(number)
        agreement = compare(flaws, verdict.defects, tile_mm)
        page.verdict(verdict)
        page.against(flaws, agreement)
        page.lost(verdict)
        accepted = verdict.disposition is Disposition.ACCEPT
        right += agreement.holds and not verdict.partial and accepted == (not flaws)
        true += len(flaws)
        found += sum(defect is not None for _, defect in agreement.pairs)
    page.title(f"  {right} of {STRIPS} verdicts agree with the truth; {found} of {true} defects found")
    return right == STRIPS


def judge_folder(page: DemoPage, running: Pipeline, folder: Path) -> bool:
    """The user's images; their truth is the user's to know, so a verdict is all it takes."""
    run = RunId(running.plan.lines[0], safe_name(folder.resolve().name), new_run_id())
    feed = running.feed(folder_settings(folder, run.strip, run.run))
    for verdict in verdicts(page, running, feed, [run]):
        page.verdict(verdict)
        page.defects(verdict)
        page.lost(verdict)
        count = len(verdict.defects)
        page.title(f"  {count} {'defect' if count == 1 else 'defects'}; what they truly are is yours to know")
    return True


def verdicts(page: DemoPage, running: Pipeline, feed: Child, runs: Sequence[RunId]) -> Iterator[StripVerdict]:
    """Each run's verdict as it comes, with a bar of frames judged until then."""
    line = running.line()
    for run in runs:
        patience = Patience(str(run))
        with page.working(run.strip, frames=True) as progress:
            while (found := line.verdicts.of(run)) is None:
                if not feed.running and feed.code != 0:
                    running.finish(feed, 1.0)
                state = line.runs.state(run)
                if state:
                    judged = sum(int.from_bytes(camera.judged).bit_count() for camera in state.cameras.values())
                    progress.update(progress.task_ids[0], completed=judged, total=max(judged, expected(state.start)))
                    patience.check(judged)
                else:
                    patience.check(0)
                running.sleep(0.1)
        yield decode_verdict(found.event.body)
    running.finish(feed, _QUIET_S)  # a source that was killed is a fault, whatever came of its frames


def expected(start: bytes) -> int:
    """About how many frames the run will have."""
    run = decode_start(start)
    return sum(ceil((run.length_mm or 1.0) / camera.frame_length_mm) for camera in run.cameras)


class Patience:
    """Runs out when nothing happens for too long, however long the whole takes."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._seen = -1
        self._at = time.monotonic()

    def check(self, seen: int) -> None:
        if seen != self._seen:
            self._seen, self._at = seen, time.monotonic()
        elif time.monotonic() - self._at > _QUIET_S:
            raise DeadlineExceeded(f"{self._what}: nothing happened for {_QUIET_S:g} s; the logs are in {_LOG}")
