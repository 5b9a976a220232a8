"""A source of small frames as a process of its own: one run, flat out or at given rates.

`python small_frames.py '{"redis_url": ..., ...}'`: the fields of `Load`. Writes an account of what it offered.
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
from stripwatch.domain.recipe import Cutting
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.feed import FeedRules, Hold, Publisher, owner_name
from stripwatch.local.child import Spec
from stripwatch.local.services import ONE_THREAD
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.sizing import profile as sizing
from stripwatch.stream import connect

LINE = "line1"
MM_PER_PX = 0.5
DARK, BRIGHT = 60, 190
"""Grey values: the tiny models and the fixed-cost service take bright steel for a scratch."""
PICTURES = 64


@dataclass(frozen=True, slots=True)
class Load:
    """One run of frames of `side_px` x `side_px`, each one tile.

    `phases` are (seconds, frames a second; 0: as fast as they are taken). A live source offers a phase's frames
    whatever becomes of them; a replay stops when the phase's time is over, however few went out. `frames` ends the
    run earlier, if it is not 0. Every `bright_every`th frame has a defect, every `broken_every`th cannot be decoded.
    """

    redis_url: str
    strip: str
    account: str
    phases: tuple[tuple[float, float], ...]
    frames: int = 0
    cameras: int = 1
    side_px: int = 64
    live: bool = False
    budget_bytes: int = 0
    bright_every: int = 0
    broken_every: int = 0

    @property
    def run(self) -> RunId:
        return RunId(LINE, self.strip, "a")

    @property
    def camera_names(self) -> tuple[str, ...]:
        return tuple(f"top-{number + 1}" for number in range(self.cameras))

    def process(self, name: str = "source") -> Spec:
        """How to run it."""
        command = (sys.executable, str(Path(__file__).resolve()), json.dumps(asdict(self)))
        return Spec(name, command, ONE_THREAD, may_end=True)


@dataclass(slots=True)
class Offered:
    """What the source offered: how many frames of each kind, when (UTC s) each phase ended, when each frame was taken.

    `captured_at` is the moment a frame was due (live) or asked for (replay): one that has to wait is late already.
    """

    frames: int = 0
    bright: int = 0
    broken: int = 0
    sent: int = 0
    shed: int = 0
    phase_ends: list[float] = field(default_factory=list)
    captured_at: list[float] = field(default_factory=list)


class SmallFrames:
    """The frames of one load, when they are due."""

    def __init__(self, load: Load, lifecycle: Lifecycle, publisher: Publisher) -> None:
        self.offered = Offered()
        self._load = load
        self._lifecycle = lifecycle
        self._publisher = publisher
        rng = np.random.default_rng(7)
        shape = (PICTURES, load.side_px, load.side_px)
        noise = rng.integers(-5, 6, shape, dtype=np.int16)
        self._dark = [picture.tobytes() for picture in (noise + DARK).astype(np.uint8)]
        self._bright = [picture.tobytes() for picture in (noise + BRIGHT).astype(np.uint8)]

    def start(self) -> RunStart:
        load, side_mm = self._load, self._load.side_px * MM_PER_PX
        cameras = tuple(Camera(name, Side.TOP, side_mm, side_mm) for name in load.camera_names)
        return RunStart(
            load.run,
            cameras,
            "hot-rolled",
            side_mm * load.cameras,
            None,
            time.time_ns(),
            simulated=True,
            live=load.live,
        )

    def frames(self) -> Iterator[Frame]:
        for seconds, rate in self._load.phases:
            yield from self._phase(seconds, rate)
            self.offered.phase_ends.append(time.time())

    def ends(self) -> list[CameraEnd]:
        names = self._load.camera_names
        counts = [len(range(number, self.offered.frames, len(names))) for number in range(len(names))]
        return [CameraEnd(self._load.run, name, count) for name, count in zip(names, counts, strict=True)]

    def _phase(self, seconds: float, rate: float) -> Iterator[Frame]:
        begin, number = time.time(), 0
        while not self._over(number, time.time() - begin, seconds, rate):
            due = begin + number / rate if rate else 0.0
            while (wait := due - time.time()) > 0:
                self._publisher.flush()
                if not self._lifecycle.sleep(wait):
                    return
            yield self._frame(due if self._load.live and rate else time.time())
            number += 1

    def _over(self, number: int, elapsed: float, seconds: float, rate: float) -> bool:
        if not self._lifecycle.running or 0 < self._load.frames <= self.offered.frames:
            return True
        return number >= seconds * rate if self._load.live else elapsed >= seconds

    def _frame(self, captured_at: float) -> Frame:
        load, at = self._load, self.offered.frames
        index, camera = divmod(at, load.cameras)
        side_mm = load.side_px * MM_PER_PX
        header = FrameHeader(
            run=load.run,
            camera=load.camera_names[camera],
            side=Side.TOP,
            index=index,
            x_mm=index * side_mm,
            y_mm=camera * side_mm,
            mm_per_px=MM_PER_PX,
            captured_at_ns=round(captured_at * 1e9),
            height=load.side_px,
            width=load.side_px,
            encoding=Encoding.RAW,
        )
        pixels = self._dark[at % PICTURES]
        if load.broken_every and at % load.broken_every == load.broken_every // 2:
            pixels, self.offered.broken = pixels[:-1], self.offered.broken + 1
        elif load.bright_every and at % load.bright_every == load.bright_every // 3:
            pixels, self.offered.bright = self._bright[at % PICTURES], self.offered.bright + 1
        self.offered.frames += 1
        if load.cameras == 1 and not load.frames:
            self.offered.captured_at.append(captured_at)
        return Frame(header, pixels)


def write_recipe(folder: Path, side_px: int) -> Path:
    """The shipped recipe with tiles as large as the frames; the folder that holds it."""
    sizing.write_recipe("hot-rolled", {}, Cutting(side_px, side_px), folder)
    return folder


def main() -> None:
    """Sends the run, then writes down what was offered."""
    given = json.loads(sys.argv[1])
    load = Load(**{**given, "phases": tuple(map(tuple, given["phases"]))})
    lifecycle = Lifecycle()
    lifecycle.listen()
    stream = connect(load.redis_url)
    line = stream.line(LINE)
    rules = FeedRules(live=load.live, budget_bytes=load.budget_bytes)
    publisher = Publisher(line, rules, lifecycle)
    source = SmallFrames(load, lifecycle, publisher)
    with Hold(line, owner_name(), live=load.live, stage="ingest"):
        try:
            publisher.start(source.start())
            for frame in source.frames():
                publisher.frame(frame)
            for end in source.ends():
                publisher.end(end)
        finally:
            publisher.close(60.0)
    source.offered.sent, source.offered.shed = publisher.sent, publisher.shed
    Path(load.account).write_text(json.dumps(asdict(source.offered)), encoding="utf-8")
    stream.close()


if __name__ == "__main__":
    main()
