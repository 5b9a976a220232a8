"""A line as a version leaves it in Redis, strips done, half done and waiting; and who goes on with it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np

from preprocess_cases import DEFECT_GREY, HEALTHY_GREY, FakeScorer, encoded, header_of, recipe, strip_image
from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Encoding, IndexRange, RunId
from stripwatch.domain.recipe import Recipe, Role
from stripwatch.domain.strip import CameraEnd, RunStart, Shed
from stripwatch.errors import NotFound
from stripwatch.ports import Kind, LineState, LineStream, Outgoing, Stream
from stripwatch.recipes import parse_recipe
from stripwatch.rpc.codec.frames import encode_end, encode_header, encode_start
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch_aggregator.memo import Memo
from stripwatch_aggregator.service import Aggregate
from stripwatch_aggregator.settings import AggregatorSettings
from stripwatch_preprocess.dispatch import Dispatch
from stripwatch_preprocess.intake import Intake
from stripwatch_preprocess.plans import Plans
from stripwatch_preprocess.service import Preprocess
from stripwatch_preprocess.settings import PreprocessSettings

LINE = "line1"
DONE, HALF, QUEUED, LIVE = (RunId(LINE, strip, "run-1") for strip in ("done", "half", "queued", "live"))
RUNS = (DONE, HALF, QUEUED, LIVE)
ENCODINGS = (Encoding.RAW, Encoding.PNG, Encoding.JPEG)
GREYS = (HEALTHY_GREY, DEFECT_GREY, HEALTHY_GREY, DEFECT_GREY, DEFECT_GREY, HEALTHY_GREY)
MOST_ROUNDS = 2000


def start(line: LineStream, run: RunId, *, live: bool = False) -> None:
    cameras = ("cam1", "cam2") if live else ("cam1",)
    declared = RunStart(run, tuple(Camera(name, Side.TOP, 20, 60) for name in cameras), "plain", 60, None, 1, live=live)
    line.source.start_run(run, encode_start(declared), cameras=list(cameras), live=live, deadline_ms=600_000)


def send(line: LineStream, run: RunId, indices: range, camera: str = "cam1") -> None:
    """Frames of three tiles, some of them bright, in each encoding in turn; what is drawn is all there is on them."""
    for index in indices:
        image = strip_image([GREYS[index % len(GREYS)], HEALTHY_GREY, HEALTHY_GREY])
        header = header_of(image, index, ENCODINGS[index % len(ENCODINGS)])
        header = replace(header, run=run, camera=camera)
        line.source.publish([Outgoing(Kind.FRAME, run, encode_header(header), encoded(image, header.encoding))])


def end(line: LineStream, run: RunId, frames: int, camera: str = "cam1", shed: tuple[Shed, ...] = ()) -> None:
    line.source.publish([Outgoing(Kind.END, run, encode_end(CameraEnd(run, camera, frames, shed)))])


class Crew:
    """One worker and one aggregator, with model services that judge by brightness: no process, and no chance."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        scorers = {role: FakeScorer(role) for role in Role}
        settings = PreprocessSettings(request_seconds=5.0, claim_idle_seconds=1.0)
        dispatch = Dispatch(scorers, batch_tiles=64, in_flight=4, request_seconds=5.0, patience_seconds=600.0)
        plans = Plans(_plain, parse_recipe, scorers, 5.0)
        self.worker = Preprocess(stream, plans, dispatch, settings, Lifecycle(), "worker")
        self.intake: Intake = self.worker.open_lines()
        self.aggregate = Aggregate(
            stream, LINE, AggregatorSettings(claim_idle_seconds=0.001, verdict_days=3650), Lifecycle(), "aggregator"
        )

    @property
    def line(self) -> LineStream:
        return self.stream.line(LINE)

    def judge(self, most: int = MOST_ROUNDS) -> None:
        """Works until nothing waits in `frames`."""
        for _ in range(most):
            if not self.line.frames.backlog().waiting:
                return
            self.worker.step(self.intake)
        raise AssertionError("frames still wait")

    def record(self) -> None:
        """Records all that waits in `results`; closes what is over."""
        line = self.line
        memo = Memo(line.work)
        while True:
            self.aggregate.step(line, memo)
            if not line.results.backlog().waiting:
                return

    def finish(self) -> dict[str, Any]:
        """Each run's verdict, as a CloudEvent, by its strip."""
        self.judge()
        limit = time.monotonic() + 60
        while len(found := verdicts(self.line)) < len(RUNS) and time.monotonic() < limit:
            self.record()
        return found


def verdicts(line: LineStream) -> dict[str, Any]:
    found = {run.strip: line.verdicts.of(run) for run in RUNS}
    return {strip: json.loads(one.event.json) for strip, one in found.items() if one}


def _plain(name: str) -> Recipe:
    if name != "plain":
        raise NotFound(f"recipe {name}")
    return recipe()


def leave_a_line(stream: Stream) -> None:
    """Every kind of entry and state that a version writes, as an upgrade in mid-shift finds it."""
    crew = Crew(stream)
    line = crew.line

    start(line, DONE)
    send(line, DONE, range(3))
    end(line, DONE, 3)
    crew.judge()
    crew.record()

    start(line, HALF)
    send(line, HALF, range(6))
    torn = replace(header_of(np.zeros((40, 120), np.uint8), 6, Encoding.PNG), run=HALF)
    line.source.publish([Outgoing(Kind.FRAME, HALF, encode_header(torn), b"no picture")])
    crew.judge()
    crew.record()  # flags, a failure and an alarm are in the run; the frame's bytes are in `dead`
    send(line, HALF, range(7, 10))
    crew.judge()
    line.results.read("aggregator that is gone", 2, 0)

    start(line, LIVE, live=True)
    for camera in ("cam1", "cam2"):
        send(line, LIVE, range(4), camera)
    crew.judge()
    send(line, LIVE, range(4, 6))
    end(line, LIVE, 6)
    end(line, LIVE, 6, "cam2", (Shed(IndexRange(4, 5), "budget"),))

    send(line, HALF, range(10, 12))
    end(line, HALF, 12)
    start(line, QUEUED)
    send(line, QUEUED, range(6))
    end(line, QUEUED, 6)
    line.frames.read("worker that is gone", 3, 0)
    line.source.set_state(LineState.DRAINING)
