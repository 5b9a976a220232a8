"""A source and an MES that note what they were told: what Redis acknowledged, and which verdicts could be read."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from small_frames import DARK, LINE, MM_PER_PX

from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Encoding, Frame, FrameHeader, RunId
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.errors import CursorLost, StreamUnavailable, StripwatchError, Unavailable
from stripwatch.feed import FeedRules, Publisher
from stripwatch.ports import Kind, LineStream, Outgoing
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.stream import connect

SIDE_PX, FRAMES = 16, 6
"""Pixels of a frame's side, and frames of a run: so small that many starts are under way when Redis is killed."""
MOST_OPEN = 20
"""Runs open at a time: more would only wait for their verdicts, and few verdicts were fresh when Redis is killed."""
SETTLE_S = 60.0


@dataclass(slots=True)
class Acknowledged:
    """What Redis has said yes to."""

    starts: Counter[RunId] = field(default_factory=Counter)
    frames: Counter[RunId] = field(default_factory=Counter)
    ends: set[RunId] = field(default_factory=set)


class Noting:
    """A line's source that notes what was acknowledged; it seems away while `shut` is set."""

    def __init__(self, source: Any, noted: Acknowledged) -> None:
        self._source, self._noted = source, noted
        self.shut = threading.Event()

    def start_run(self, run: RunId, body: bytes, **rest: Any) -> bool:
        self._refuse_if_shut()
        fresh = bool(self._source.start_run(run, body, **rest))
        self._noted.starts[run] += 1
        return fresh

    def publish(self, entries: Sequence[Outgoing]) -> None:
        self._refuse_if_shut()
        self._source.publish(entries)
        for entry in entries:
            if entry.kind is Kind.FRAME:
                self._noted.frames[entry.run] += 1
            else:
                self._noted.ends.add(entry.run)

    def __getattr__(self, name: str) -> Any:
        self._refuse_if_shut()
        return getattr(self._source, name)

    def _refuse_if_shut(self) -> None:
        if self.shut.is_set():
            raise StreamUnavailable("shut while what is left is counted")


@dataclass(slots=True)
class Feeder:
    """Sends one short run after the other through a publisher, as a source does, until told to rest."""

    url: str
    noted: Acknowledged = field(default_factory=Acknowledged)
    source: Noting | None = None
    _rest: threading.Event = field(default_factory=threading.Event)
    _resting: threading.Event = field(default_factory=threading.Event)
    _lifecycle: Lifecycle = field(default_factory=Lifecycle)
    _thread: threading.Thread | None = None

    def begin(self) -> None:
        line = connect(self.url).line(LINE)
        noted = _NotedLine(LINE, Noting(line.source, self.noted))
        self.source = noted.source
        publisher = Publisher(noted, FeedRules(live=False), self._lifecycle)  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self._feed, args=(line, publisher), name="feeder", daemon=True)
        self._thread.start()

    def rest(self) -> None:
        """Returns when the run under way is out."""
        self._rest.set()
        if not self._resting.wait(SETTLE_S):
            raise StripwatchError(f"the source is not through after {SETTLE_S:g} s")

    def go_on(self) -> None:
        self._resting.clear()
        self._rest.clear()

    def finish(self) -> None:
        self._lifecycle.stop()
        if self._thread:
            self._thread.join()

    def _feed(self, line: LineStream, publisher: Publisher) -> None:
        number = 0
        while self._lifecycle.running:
            if self._rest.is_set():
                self._resting.set()
            if self._rest.is_set() or _open(line) >= MOST_OPEN:
                self._lifecycle.sleep(0.01)
                continue
            number += 1
            _send(publisher, RunId(LINE, f"strip-{number}", "a"))


@dataclass(frozen=True, slots=True)
class _NotedLine:
    line: str
    source: Noting


def _open(line: LineStream) -> int:
    try:
        return len(line.runs.open_runs())
    except Unavailable:
        return 0  # the publisher meets it too, and knows what to do


def _send(publisher: Publisher, run: RunId) -> None:
    side_mm = SIDE_PX * MM_PER_PX
    cameras = (Camera("top-1", Side.TOP, side_mm, side_mm),)
    publisher.start(RunStart(run, cameras, "hot-rolled", side_mm, None, time.time_ns(), simulated=True, live=False))
    for index in range(FRAMES):
        header = FrameHeader(
            run,
            "top-1",
            Side.TOP,
            index,
            index * side_mm,
            0.0,
            MM_PER_PX,
            time.time_ns(),
            SIDE_PX,
            SIDE_PX,
            Encoding.RAW,
        )
        publisher.frame(Frame(header, bytes([DARK]) * SIDE_PX**2))
    publisher.end(CameraEnd(run, "top-1", FRAMES))


class Reader:
    """An MES that follows the verdicts: it keeps its cursor, and reads all again where its cursor is lost."""

    def __init__(self, url: str) -> None:
        self.read: dict[RunId, dict[str, str]] = {}
        """For each run: cursor of each of its verdicts, and the verdict's id."""
        self.cursors_lost = 0
        self.cursor = ""
        self._line = connect(url).line(LINE)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="reader")
        self._thread.start()

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                for one in self._line.verdicts.since(self.cursor, 100, 100):
                    self.read.setdefault(one.event.run, {})[one.cursor] = one.event.event_id
                    self.cursor = one.cursor
            except CursorLost:
                self.cursors_lost += 1
                self.cursor = ""
            except Unavailable:
                self._stop.wait(0.05)

    def finish(self) -> None:
        self._stop.set()
        self._thread.join()
