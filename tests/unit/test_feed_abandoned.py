"""Runs whose source is gone are ended in its place."""

from __future__ import annotations

import pytest

from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import IndexRange, RunId
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.errors import Conflict
from stripwatch.feed import end_abandoned
from stripwatch.ports import Done, Kind, Outgoing, Record
from stripwatch.rpc.codec.frames import decode_end, encode_end, encode_start
from stripwatch.stream.memory import MemoryStream
from stripwatch.stream.memory.line import MemoryLine

RUN = RunId("line1", "s1", "r1")


def running(length_mm: float | None) -> MemoryLine:
    """A run of two cameras: frames 0 and 1 of `a` are judged, `b` has ended."""
    line = MemoryStream().line("line1")
    cameras = (Camera("a", Side.TOP, 100, 400), Camera("b", Side.BOTTOM, 100, 400))
    body = encode_start(RunStart(RUN, cameras, "hot-rolled", 400, length_mm, 1, live=False))
    line.source.start_run(RUN, body, cameras=["a", "b"], live=False, deadline_ms=1000)
    line.source.publish([Outgoing(Kind.FRAME, RUN, b"0"), Outgoing(Kind.FRAME, RUN, b"1")])
    for entry in line.frames.read("w", 10, 0):
        line.work.finish([Done(entry.id, Kind.RESULT, RUN, b"r")])
    for index, entry in enumerate(line.results.read("a", 10, 0)[1:]):
        line.runs.record([Record(entry.id, RUN, "a", index, 1, 1)])
    line.source.publish([Outgoing(Kind.END, RUN, b"end")])
    [end] = line.frames.read("w", 10, 0)
    line.work.finish([Done(end.id, Kind.END, RUN, b"end")])
    [result] = line.results.read("a", 10, 0)
    line.runs.record_end(result.id, RUN, "b", encode_end(CameraEnd(RUN, "b", 0)), 0, 0)
    return line


@pytest.mark.parametrize(("length_mm", "frames"), [(None, 3), (1000.0, 10)])
def test_what_was_still_to_come_is_declared_as_shed(length_mm: float | None, frames: int) -> None:
    line = running(length_mm)
    assert end_abandoned(line, "operator") == [RUN]
    [entry] = line.frames.read("w", 10, 0)
    end = decode_end(entry.body)
    assert (end.camera, end.frames) == ("a", frames)
    assert [(shed.frames, shed.reason) for shed in end.shed] == [(IndexRange(2, frames - 1), "source gone")]


def test_a_line_that_a_source_holds_is_left_alone_and_the_hold_is_given_back() -> None:
    line = running(None)
    line.source.hold("camera", live=True, ttl_ms=60_000)
    with pytest.raises(Conflict, match="live source"):
        end_abandoned(line, "operator")
    line.source.release("camera")
    assert end_abandoned(line, "operator") == [RUN]
    line.source.hold("camera", live=True, ttl_ms=60_000)
