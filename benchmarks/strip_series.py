"""Strips of small frames, one after the other, sent by this process: its own CPU time is the source's."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from small_frames import BRIGHT, DARK, LINE, MM_PER_PX, PICTURES

from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Encoding, Frame, FrameHeader, RunId
from stripwatch.domain.strip import MAX_CAMERAS, CameraEnd, RunStart
from stripwatch.feed import FeedRules, Publisher
from stripwatch.ports import LineStream
from stripwatch.runtime.lifecycle import Lifecycle

PART = 32
"""Frames between two looks."""
BRIGHT_EVERY = 500
"""One defect in so many frames, whatever strip they are of."""


@dataclass(frozen=True, slots=True)
class Series:
    """`strips` strips of `frames` frames each, which `cameras` cameras take in turn.

    More cameras than a run may have are runs side by side, each with its share.
    """

    frames: int
    strips: int = 1
    cameras: int = 1

    @property
    def total(self) -> int:
        return self.frames * self.strips

    @property
    def runs(self) -> int:
        """How many runs one strip is."""
        return -(-self.cameras // MAX_CAMERAS)


class Strip:
    """One strip on its way: its runs, how many frames of it went out, and how many of them bright."""

    def __init__(self, publisher: Publisher, pictures: Pictures, name: str, cameras: int, runs: int) -> None:
        self.runs = [RunId(LINE, name, f"r{number}") for number in range(runs)]
        self.sent = self.bright = 0
        self._publisher, self._pictures = publisher, pictures
        self._cameras = [(self.runs[number % runs], f"top-{number + 1}") for number in range(cameras)]
        side_mm = pictures.side_px * MM_PER_PX
        for run in self.runs:
            seen_by = tuple(Camera(one, Side.TOP, side_mm, side_mm) for of, one in self._cameras if of == run)
            publisher.start(
                RunStart(
                    run,
                    seen_by,
                    pictures.recipe,
                    side_mm * cameras,
                    None,
                    time.time_ns(),
                    simulated=True,
                    live=False,
                )
            )

    def send(self, frames: int) -> None:
        """The next frames of it."""
        side_px = self._pictures.side_px
        side_mm = side_px * MM_PER_PX
        for at in range(self.sent, self.sent + frames):
            index, camera = divmod(at, len(self._cameras))
            run, name = self._cameras[camera]
            pixels, bright = self._pictures.take()
            header = FrameHeader(
                run=run,
                camera=name,
                side=Side.TOP,
                index=index,
                x_mm=index * side_mm,
                y_mm=camera * side_mm,
                mm_per_px=MM_PER_PX,
                captured_at_ns=time.time_ns(),
                height=side_px,
                width=side_px,
                encoding=Encoding.RAW,
            )
            self._publisher.frame(Frame(header, pixels))
            self.bright += bright
        self.sent += frames

    def end(self) -> None:
        """Ends every camera: a verdict is due."""
        for number, (run, name) in enumerate(self._cameras):
            self._publisher.end(CameraEnd(run, name, len(range(number, self.sent, len(self._cameras)))))


class Pictures:
    """Frames drawn once and sent in turn; every so many of them is bright."""

    def __init__(self, side_px: int, recipe: str) -> None:
        self.side_px, self.recipe = side_px, recipe
        noise = np.random.default_rng(7).integers(-5, 6, (PICTURES, side_px, side_px), dtype=np.int16)
        self._dark, self._bright = (
            [picture.tobytes() for picture in (noise + grey).astype(np.uint8)] for grey in (DARK, BRIGHT)
        )
        self._taken = itertools.count()

    def take(self) -> tuple[bytes, bool]:
        """The next picture, and whether it is bright."""
        at = next(self._taken)
        bright = at % BRIGHT_EVERY == BRIGHT_EVERY // 3
        return (self._bright if bright else self._dark)[at % PICTURES], bright


class Feeder:
    """A replay that sends strips into one line, each under a name of its own."""

    def __init__(self, line: LineStream, budget_bytes: Callable[[], int], pictures: Pictures) -> None:
        self._line, self._budget_bytes, self._pictures = line, budget_bytes, pictures
        self._names = itertools.count(1)

    def publisher(self) -> Publisher:
        """One whose strips wait for room above what Redis holds now."""
        return Publisher(self._line, FeedRules(live=False, budget_bytes=self._budget_bytes()), Lifecycle())

    def begin(self, publisher: Publisher, cameras: int = 1, runs: int = 1) -> Strip:
        return Strip(publisher, self._pictures, f"strip-{next(self._names)}", cameras, runs)

    def send(self, series: Series, look: Callable[[], object] = lambda: None) -> Sequence[Strip]:
        """All of them; `look` is called now and then on the way, and each run has its ends when this returns."""
        publisher = self.publisher()
        sent = []
        for _ in range(series.strips):
            strip = self.begin(publisher, series.cameras, series.runs)
            while strip.sent < series.frames:
                strip.send(min(PART, series.frames - strip.sent))
                look()
            strip.end()
            sent.append(strip)
        publisher.close(60.0)
        return sent
