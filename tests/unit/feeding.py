"""Runs, frames and troubled streams for the tests of sources and recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Encoding, Frame, FrameHeader, RunId
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.errors import StreamUnavailable, StripwatchError
from stripwatch.ports import Done, Entry, Kind, LineStream, Outgoing
from stripwatch.rpc.codec.frames import decode_end, decode_header

RUN = RunId("line1", "s1", "r1")
SECOND_NS = 1_000_000_000


def start(run: RunId = RUN, *, cameras: Sequence[str] = ("top-1",), live: bool = False, length_mm: float | None = None):  # type: ignore[no-untyped-def]
    seen = tuple(Camera(name, Side.TOP, 100.0, 200.0) for name in cameras)
    return RunStart(run, seen, "hot-rolled", 200.0, length_mm, 5 * SECOND_NS, live=live)


def frame(index: int, run: RunId = RUN, camera: str = "top-1", size: tuple[int, int] = (4, 8)) -> Frame:
    height, width = size
    header = FrameHeader(
        run,
        camera,
        Side.TOP,
        index,
        index * 100.0,
        0.0,
        0.5,
        5 * SECOND_NS + index * 10_000_000,
        height,
        width,
        Encoding.RAW,
    )
    return Frame(header, bytes((index + at) % 256 for at in range(height * width)))


def end(frames: int, run: RunId = RUN, camera: str = "top-1") -> CameraEnd:
    return CameraEnd(run, camera, frames)


def take(line: LineStream) -> list[Entry]:
    """All entries of the line, as a worker reads and finishes them."""
    entries = line.frames.read("test", 10_000, 0)
    line.work.finish([Done(entry.id, entry.kind, entry.run, entry.body) for entry in entries])
    return entries


def indices(entries: Sequence[Entry]) -> list[int]:
    return [decode_header(entry.body).index for entry in entries if entry.kind is Kind.FRAME]


def ends(entries: Sequence[Entry]) -> list[CameraEnd]:
    return [decode_end(entry.body) for entry in entries if entry.kind is Kind.END]


@dataclass
class Clock:
    """A clock that moves when it is told to."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class TroubledSource:
    """A line's source that raises `trouble` while it is set, after passing on `lets_through` entries of a batch."""

    source: Any
    trouble: StripwatchError | None = None
    lets_through: int = 0
    published: list[int] = field(default_factory=list)

    def publish(self, entries: Sequence[Outgoing]) -> None:
        if self.trouble:
            self.source.publish(entries[: self.lets_through])
            raise self.trouble
        self.published.append(len(entries))
        self.source.publish(entries)

    def start_run(self, *args: Any, **kwargs: Any) -> bool:
        if self.trouble:
            raise self.trouble
        return bool(self.source.start_run(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        if isinstance(self.trouble, StreamUnavailable):  # a full stream still answers
            raise self.trouble
        return getattr(self.source, name)


def troubled(line: Any) -> TroubledSource:
    """Puts trouble between a memory line and its source."""
    line.source = TroubledSource(line.source)
    return line.source  # type: ignore[no-any-return]
