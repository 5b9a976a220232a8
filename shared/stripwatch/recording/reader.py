"""Reads a recording: checked from end to end before anything of it is used, then streamed."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zstandard
from mcap.exceptions import McapError

from stripwatch.domain.frame import Frame, FrameHeader, RunId
from stripwatch.domain.names import shown
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.errors import BadInput, RecordingInvalid
from stripwatch.ports import Kind
from stripwatch.recording.layout import KINDS, SCHEMAS, Line, unpack
from stripwatch.recording.messages import messages
from stripwatch.rpc.codec.frames import decode_end, decode_header, decode_start

MOST_RUNS = 100_000

_BROKEN = (
    McapError,
    struct.error,
    zstandard.ZstdError,
    RuntimeError,  # what lz4 raises
    ValueError,
    KeyError,
    EOFError,
    OverflowError,
    MemoryError,
    TypeError,  # mcap's parser over a record that ends early
    IndexError,
)


@dataclass(slots=True)
class RecordedRun:
    """What a recording holds of one run."""

    start: RunStart
    frames: int = 0
    ended: set[str] = field(default_factory=set)

    @property
    def missing(self) -> list[str]:
        """Cameras without their end."""
        return [camera.name for camera in self.start.cameras if camera.name not in self.ended]


class Recording:
    """A recording on disk. RecordingInvalid, naming the file and what is wrong with it, unless it is whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = 0
        self.first_ns = 0
        self.last_ns = 0
        self.runs: dict[RunId, RecordedRun] = {}
        self._check()

    @property
    def frames(self) -> int:
        return sum(run.frames for run in self.runs.values())

    def entries(self) -> Iterator[Line]:
        """Everything as it went by on the stream, in that order."""
        return read_lines(self.path)

    def events(self) -> Iterator[RunStart | Frame | CameraEnd]:
        """The same as starts, frames and ends."""
        for line in self.entries():
            yield event(line)

    def _check(self) -> None:
        for line in self.entries():
            try:
                self._take(event(line))
            except BadInput as error:
                raise RecordingInvalid(f"{self.path}: {error}") from error
            if line.entry.kind is Kind.FRAME:
                self.bytes += len(line.entry.pixels)
                self.first_ns = min(self.first_ns or line.log_time_ns, line.log_time_ns)
                self.last_ns = max(self.last_ns, line.log_time_ns)
        if not self.runs:
            raise RecordingInvalid(f"{self.path}: expected at least one run, there is none")
        for run_id, run in self.runs.items():
            if run.missing:
                raise RecordingInvalid(f"{self.path}: run {run_id} has no end of camera {', '.join(run.missing)}")

    def _take(self, event: RunStart | Frame | CameraEnd) -> None:
        if isinstance(event, RunStart):
            if len(self.runs) >= MOST_RUNS:
                raise RecordingInvalid(f"expected at most {MOST_RUNS} runs, got more")
            self.runs.setdefault(event.run, RecordedRun(event))
            return
        named = event.header if isinstance(event, Frame) else event
        run_id, camera = named.run, named.camera
        run = self.runs.get(run_id)
        if run is None:
            raise RecordingInvalid(f"run {run_id} has no start before its first frame or end")
        if camera not in {known.name for known in run.start.cameras}:
            raise RecordingInvalid(f"run {run_id} has no camera {camera!r}")
        if isinstance(event, Frame):
            run.frames += 1
        else:
            run.ended.add(camera)


def event(line: Line) -> RunStart | Frame | CameraEnd:
    """A recorded line as what it says."""
    entry = line.entry
    if entry.kind is Kind.START:
        return decode_start(entry.body)
    if entry.kind is Kind.END:
        return decode_end(entry.body)
    header: FrameHeader = decode_header(entry.body)
    return Frame(header, entry.pixels)


def read_lines(path: Path) -> Iterator[Line]:
    """The messages of a file in their order; RecordingInvalid where it is no recording, damaged or cut short."""
    try:
        with path.open("rb") as file:
            for number, (schema, channel, message) in enumerate(messages(file)):
                kind = KINDS.get(schema.name) if schema and channel.message_encoding == "protobuf" else None
                if kind is None:
                    got = schema.name[:80] if schema else "none"
                    raise RecordingInvalid(
                        f"{path}: message {number} on {channel.topic[:200]!r} has schema {got!r}, "
                        f"expected one of {', '.join(SCHEMAS.values())}"
                    )
                if message.sequence != number:
                    raise RecordingInvalid(
                        f"{path}: expected message {number}, got {message.sequence}: not all are there"
                    )
                yield Line(unpack(kind, message.data), message.log_time, message.publish_time)
    except OSError as error:
        raise RecordingInvalid(f"{path}: cannot be read: {error.strerror}") from error
    except BadInput as error:
        if isinstance(error, RecordingInvalid):
            raise
        raise RecordingInvalid(f"{path}: {error}") from error
    except _BROKEN as error:
        raise RecordingInvalid(
            f"{path}: damaged or cut short ({type(error).__name__}: {shown(str(error), 200)})"
        ) from error
