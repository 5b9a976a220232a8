"""A video file, or a camera behind an rtsp:// or http:// address, as strips."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Generator, Iterator
from math import ceil
from pathlib import Path

from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Encoding, Frame, FrameHeader, IndexRange
from stripwatch.domain.strip import CameraEnd, RunStart, Shed
from stripwatch.errors import BadInput
from stripwatch.feed import safe_name
from stripwatch.runtime.deadline import backoff
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch_ingest.source import Event, RunTemplate
from stripwatch_ingest.sources.capture import Capture, Grey
from stripwatch_ingest.sources.encode import encoded

log = logging.getLogger(__name__)

CAMERA = "top-1"
AWAY = "camera away"
CUT_OFF = "video ends early"


def is_address(place: str) -> bool:
    """Whether it is a camera's address, which has no end, rather than a file."""
    return "://" in place


def shown(place: str) -> str:
    """The address without user and password."""
    return re.sub(r"(?<=://)[^/@]*@", "", place)


class VideoSource:
    """One camera. A file is one run (or is cut every `frames_per_run` frames) and then over.

    A camera's address has no end and nothing that says where a strip begins, so a run is cut every `frames_per_run`
    frames, or as many as `length_mm` needs. While it is away, the frames that its rate would have brought are
    declared lost; a strip that ran through meanwhile is ended, and the next begins when the camera is back.
    """

    def __init__(
        self,
        place: str,
        template: RunTemplate,
        lifecycle: Lifecycle,
        *,
        frames_per_run: int,
        length_mm: float,
        timeout_s: float,
        encoding: Encoding = Encoding.RAW,
        opened: Callable[[str, str, float], Capture] = Capture,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endless = is_address(place)
        if not self._endless and not Path(place).is_file():
            raise BadInput(f"{place}: expected a video file or a camera's address, there is none")
        self._place = place
        self._template = template
        self._lifecycle = lifecycle
        self._frames_per_run = frames_per_run
        self._length_mm = length_mm
        self._timeout_s = timeout_s
        self._encoding = encoding
        self._opened = opened
        self._clock = clock
        self._strip = template.strip or ("camera" if self._endless else safe_name(Path(place).stem))
        self._runs = 0
        self._read_so_far = 0
        self._away = False
        self._capture = opened(place, shown(place), timeout_s)
        self._rate = self._capture.frames_per_s

    def ready(self) -> str | None:
        return f"{shown(self._place)}: {AWAY}" if self._away else None

    def close(self) -> None:
        self._capture.close()

    def events(self) -> Iterator[Event]:
        image = self._next()
        if image is None and not self._endless:
            raise BadInput(f"{self._place}: expected a video with frames, there are none")
        while image is not None:
            image = yield from self._run(image)
            if image is None and self._lifecycle.running:
                image = self._next()

    def _run(self, first: Grey) -> Generator[Event, None, Grey | None]:
        """One run from its first frame on; the next run's first frame, if that had to be read to know."""
        start, limit = self._start(first)
        yield start
        image: Grey | None = first
        index, lost = 0, []
        while image is not None:
            yield self._frame(start, index, image)
            index += 1
            image = self._read() if index != limit else None
            if image is None and index != limit:
                image, missed = self._gap(limit - index)
                if not self._lifecycle.running:
                    return None
                if missed:
                    why = AWAY if self._endless else CUT_OFF
                    lost.append(Shed(IndexRange(index, index + missed - 1), why))
                    index += missed
            if index == limit:
                break
        yield CameraEnd(start.run, CAMERA, index, tuple(lost))
        return image

    def _start(self, first: Grey) -> tuple[RunStart, int]:
        """The run that begins with this frame, and its number of frames (0: as many as the file has)."""
        mm = self._template.mm_per_px
        height, width = first.shape
        limit = self._frames_per_run or (ceil(self._length_mm / (height * mm)) if self._endless else 0)
        self._runs += 1
        start = self._template.start(
            f"{self._strip}-{self._runs}" if limit else self._strip,
            [Camera(CAMERA, Side.TOP, height * mm, width * mm)],
            width_mm=self._template.width_mm or width * mm,
            length_mm=limit * height * mm if self._endless else None,
        )
        return start, limit

    def _frame(self, start: RunStart, index: int, image: Grey) -> Frame:
        height, width = image.shape
        mm = self._template.mm_per_px
        header = FrameHeader(
            run=start.run,
            camera=CAMERA,
            side=Side.TOP,
            index=index,
            x_mm=index * start.cameras[0].frame_length_mm,
            y_mm=0.0,
            mm_per_px=mm,
            captured_at_ns=time.time_ns(),
            height=height,
            width=width,
            encoding=self._encoding,
        )
        return Frame(header, encoded(image, self._encoding))

    def _read(self) -> Grey | None:
        image = self._capture.read()
        self._read_so_far += image is not None
        return image

    def _next(self) -> Grey | None:
        """The next run's first frame; None at the end of a file, or when told to stop."""
        image = self._read()
        return self._reconnected(float("inf")) if image is None and self._endless else image

    def _gap(self, left: int) -> tuple[Grey | None, int]:
        """What comes where a read brought nothing: the next frame, if any, and how many were missed before it.

        `left` is what the run still lacks (negative: nobody knows); more than that it cannot miss.
        """
        if not self._endless:
            missing = self._capture.frames - self._read_so_far
            tolerated = max(2, self._capture.frames // 100)  # containers estimate their number of frames
            return None, (min(missing, left) if left > 0 else missing) if missing > tolerated else 0
        since = self._clock()
        image = self._reconnected(since + left / self._rate)
        missed = max(1, ceil((self._clock() - since) * self._rate))
        return image, left if image is None else min(left, missed)

    def _reconnected(self, until: float) -> Grey | None:
        """The first frame of the camera once it is back; None if that takes too long, or when told to stop."""
        if not self._away:
            log.warning("camera away, reconnecting", extra={"source": shown(self._place)})
        self._away = True
        self._capture.close()
        for wait in backoff(0.2, 5.0):
            if not self._lifecycle.sleep(wait) or self._clock() >= until:
                return None
            try:
                self._capture = self._opened(self._place, shown(self._place), self._timeout_s)
            except BadInput:
                continue
            image = self._capture.read()
            if image is not None:
                log.info("camera is back", extra={"source": shown(self._place)})
                self._away, self._rate = False, self._capture.frames_per_s
                return image
        return None
