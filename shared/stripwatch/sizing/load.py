"""Cameras that cost next to nothing, as a process of their own: frames in memory, as a camera's driver has them.

`python -m stripwatch.sizing.load '{"line": ..., ...}'`: the fields of `CameraLoad`; Redis by STRIPWATCH_REDIS_URL.
Writes down what it offered, as `Offered` has it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Encoding, Frame, FrameHeader, RunId
from stripwatch.domain.strip import MAX_CAMERAS, CameraEnd, RunStart
from stripwatch.feed import FeedRules, Hold, Publisher, owner_name
from stripwatch.local.child import Spec
from stripwatch.local.services import ONE_THREAD
from stripwatch.runtime import lifecycle as life
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.runtime.settings import RedisSettings, load
from stripwatch.stream import open_stream

DELIVER_S = 60.0


@dataclass(frozen=True, slots=True)
class CameraLoad:
    """`frames` frames of each of `cameras` cameras, `rate` a second (0: flat out), all cameras at the same moment.

    That is how an encoder triggers the cameras of a strip. More cameras than a run can have stand over several strips.
    A live source offers each frame when it is due, whatever becomes of it; a replay waits for room.
    """

    line: str
    strip: str
    account: str
    """Where `Offered` goes."""
    pictures: str
    """File of (N, height, width) uint8."""
    cameras: int
    frames: int
    rate: float
    recipe: str
    mm_per_px: float = 0.5
    sides: int = 1
    """2: every second camera looks at the bottom side."""
    live: bool = True
    budget_bytes: int = 0
    budget_s: float = 0.0

    @property
    def runs(self) -> dict[RunId, tuple[tuple[str, Side, int], ...]]:
        """Each run with its cameras: name, side, and place across the strip, counted in cameras."""
        sides = (Side.TOP, Side.BOTTOM)[: self.sides]
        places = [(sides[number % self.sides], number // self.sides) for number in range(self.cameras)]
        named = [(f"{side.value}-{across + 1}", side, across) for side, across in places]
        parts = [tuple(named[first : first + MAX_CAMERAS]) for first in range(0, self.cameras, MAX_CAMERAS)]
        return {RunId(self.line, f"{self.strip}-{number + 1}", "a"): part for number, part in enumerate(parts)}

    def process(self, name: str, redis_url: str) -> Spec:
        """How to run it."""
        command = (sys.executable, "-m", "stripwatch.sizing.load", json.dumps(asdict(self)))
        env = {**ONE_THREAD, "STRIPWATCH_REDIS_URL": redis_url, "STRIPWATCH_REDIS_URL_FILE": ""}
        return Spec(name, command, env, may_end=True)


@dataclass(frozen=True, slots=True)
class Offered:
    """When the frames of each index were captured (UTC s; flat out: asked for), and what went out."""

    sent: int
    shed: int
    cpu_s: float
    captured_at: list[float] = field(default_factory=list)


class CameraFrames:
    """The frames of one load, when they are due."""

    def __init__(self, given: CameraLoad, lifecycle: Lifecycle, publisher: Publisher) -> None:
        self.captured_at: list[float] = []
        self._load = given
        self._lifecycle = lifecycle
        self._publisher = publisher
        pictures = np.load(given.pictures)  # (N, height, width) uint8
        self._height, self._width = pictures.shape[1:]
        self._pixels = [picture.tobytes() for picture in pictures]

    def starts(self) -> Iterator[RunStart]:
        mm = self._load.mm_per_px
        length, width = self._height * mm, self._width * mm
        for run, seen in self._load.runs.items():
            cameras = tuple(Camera(name, side, length, width) for name, side, _ in seen)
            across = 1 + max(place for _, _, place in seen)
            recipe, now = self._load.recipe, time.time_ns()
            yield RunStart(run, cameras, recipe, across * width, None, now, simulated=True, live=self._load.live)

    def frames(self) -> Iterator[Frame]:
        begin, every = time.time(), 1 / self._load.rate if self._load.rate else 0.0
        runs = self._load.runs
        for index in range(self._load.frames):
            due = begin + index * every if every else time.time()
            while (wait := due - time.time()) > 0:
                self._publisher.flush()
                if not self._lifecycle.sleep(wait):
                    return
            self.captured_at.append(due)
            for run, seen in runs.items():
                for name, side, across in seen:
                    yield self._frame(run, name, side, across, index)

    def _frame(self, run: RunId, camera: str, side: Side, across: int, index: int) -> Frame:
        mm = self._load.mm_per_px
        header = FrameHeader(
            run=run,
            camera=camera,
            side=side,
            index=index,
            x_mm=index * self._height * mm,
            y_mm=across * self._width * mm,
            mm_per_px=mm,
            captured_at_ns=round(self.captured_at[-1] * 1e9),
            height=self._height,
            width=self._width,
            encoding=Encoding.RAW,
        )
        return Frame(header, self._pixels[index % len(self._pixels)])


def main() -> None:
    """Sends the runs, then writes down what was offered."""
    given = CameraLoad(**json.loads(sys.argv[1]))
    lifecycle = Lifecycle()
    lifecycle.listen()
    stream = open_stream(load(RedisSettings))
    line = stream.line(given.line)
    publisher = Publisher(
        line, FeedRules(given.live, budget_bytes=given.budget_bytes, budget_s=given.budget_s), lifecycle
    )
    source = CameraFrames(given, lifecycle, publisher)
    began = time.process_time()
    with Hold(line, owner_name(), live=given.live, stage="ingest"):
        try:
            for start in source.starts():
                publisher.start(start)
            for frame in source.frames():
                publisher.frame(frame)
            for run, seen in given.runs.items():
                for name, _, _ in seen:
                    publisher.end(CameraEnd(run, name, given.frames))
        finally:
            publisher.close(DELIVER_S)
    offered = Offered(publisher.sent, publisher.shed, time.process_time() - began, source.captured_at)
    Path(given.account).write_text(json.dumps(asdict(offered)), encoding="utf-8")
    stream.close()


if __name__ == "__main__":
    life.main(main)
