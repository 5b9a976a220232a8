"""Line scans of wide strip as a process of its own: frames of simulated steel in memory, as a camera's driver has them.

`python line_frames.py '{"redis_url": ..., ...}'`: the fields of `LineLoad`. Writes an account of what it offered.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from small_frames import LINE

from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Encoding, Frame, FrameHeader, RunId
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.feed import FeedRules, Hold, Publisher, owner_name
from stripwatch.feed.shrink import Shrink
from stripwatch.local.child import Spec
from stripwatch.local.services import ONE_THREAD
from stripwatch.pixels import Image
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.sizing.pictures import draw_pictures
from stripwatch.stream import connect

MM_PER_PX = 0.5
TILE_PX = 200
WIDTH_PX = 2000
PICTURES = 40
"""Frames that are drawn, and sent in turn."""
FLAWS = 3
"""On those frames, 4 m of strip."""


@dataclass(frozen=True, slots=True)
class LineLoad:
    """One run: `frames` frames of each side, flat out or at a line speed in m/s.

    A live source offers every frame when it is due whatever becomes of it; a replay waits for room.
    """

    redis_url: str
    strip: str
    account: str
    pictures: str
    """File of (N, height, width) uint8, as `draw` makes them."""
    frames: int
    recipe: str = "hot-rolled"
    sides: int = 1
    across: int = 1
    """Cameras of each side, side by side."""
    speed_m_per_s: float = 0.0
    live: bool = False
    budget_bytes: int = 0
    budget_s: float = 0.0
    send_mm_per_px: float = 0.0
    """As camera-ingest has it: finer frames are made coarser before they go out; 0: as they are."""

    @property
    def run(self) -> RunId:
        return RunId(LINE, self.strip, "a")

    @property
    def cameras(self) -> tuple[tuple[str, Side], ...]:
        sides = (Side.TOP, Side.BOTTOM)[: self.sides]
        return tuple((f"{side.value}-{place + 1}", side) for side in sides for place in range(self.across))

    def process(self, name: str) -> Spec:
        """How to run it."""
        return Spec(
            name, (sys.executable, str(Path(__file__).resolve()), json.dumps(asdict(self))), ONE_THREAD, may_end=True
        )


@dataclass(slots=True)
class Offered:
    """When each frame was captured (UTC s; of a replay: asked for), by camera, and how many went out."""

    captured_at: dict[str, list[float]] = field(default_factory=dict)
    sent: int = 0
    shed: int = 0
    ended_at: float = 0.0


def draw(seed: int = 11, width_px: int = WIDTH_PX, pictures: int = PICTURES) -> Image:
    """(pictures, 200, width) uint8, as one strip from head to tail with a few flaws."""
    return draw_pictures(
        seed, height_px=TILE_PX, width_px=width_px, mm_per_px=MM_PER_PX, pictures=pictures, defects=FLAWS
    )


class LineFrames:
    """The frames of one load, when they are due."""

    def __init__(self, load: LineLoad, lifecycle: Lifecycle, publisher: Publisher) -> None:
        self.offered = Offered({name: [] for name, _ in load.cameras})
        self._load = load
        self._lifecycle = lifecycle
        self._publisher = publisher
        pictures = np.load(load.pictures)
        self._height, self._width = pictures.shape[1:]
        self._pixels = [picture.tobytes() for picture in pictures]

    def start(self) -> RunStart:
        load, length, width = self._load, self._height * MM_PER_PX, self._width * MM_PER_PX
        cameras = tuple(Camera(name, side, length, width) for name, side in load.cameras)
        strip = width * load.across
        return RunStart(load.run, cameras, load.recipe, strip, None, time.time_ns(), simulated=True, live=load.live)

    def frames(self) -> Iterator[Frame]:
        load, begin = self._load, time.time()
        every = self._height * MM_PER_PX / 1000 / load.speed_m_per_s if load.speed_m_per_s else 0.0
        for index in range(load.frames):
            due = begin + index * every if every else time.time()
            while (wait := due - time.time()) > 0:
                self._publisher.flush()
                if not self._lifecycle.sleep(wait):
                    return
            for number, (name, side) in enumerate(load.cameras):
                yield self._frame(name, side, number % load.across, index, due)

    def _frame(self, camera: str, side: Side, place: int, index: int, captured_at: float) -> Frame:
        self.offered.captured_at[camera].append(captured_at)
        header = FrameHeader(
            run=self._load.run,
            camera=camera,
            side=side,
            index=index,
            x_mm=index * self._height * MM_PER_PX,
            y_mm=place * self._width * MM_PER_PX,
            mm_per_px=MM_PER_PX,
            captured_at_ns=round(captured_at * 1e9),
            height=self._height,
            width=self._width,
            encoding=Encoding.RAW,
        )
        return Frame(header, self._pixels[index % len(self._pixels)])


def main() -> None:
    """Sends the run, then writes down what was offered."""
    load = LineLoad(**json.loads(sys.argv[1]))
    lifecycle = Lifecycle()
    lifecycle.listen()
    stream = connect(load.redis_url)
    line = stream.line(LINE)
    rules = FeedRules(live=load.live, budget_bytes=load.budget_bytes, budget_s=load.budget_s)
    publisher = Publisher(line, rules, lifecycle)
    source = LineFrames(load, lifecycle, publisher)
    shrink = Shrink(load.send_mm_per_px)
    with Hold(line, owner_name(), live=load.live, stage="ingest"):
        try:
            publisher.start(source.start())
            for frame in source.frames():
                publisher.frame(shrink(frame) if load.send_mm_per_px else frame)
            for name, _ in load.cameras:
                publisher.end(CameraEnd(load.run, name, load.frames))
        finally:
            publisher.close(60.0)
    source.offered.ended_at = time.time()
    source.offered.sent, source.offered.shed = publisher.sent, publisher.shed
    Path(load.account).write_text(json.dumps(asdict(source.offered)), encoding="utf-8")
    stream.close()


if __name__ == "__main__":
    main()
