"""Where traces begin: the run's with its start, a frame's with its capture or with its coming."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from stripwatch.domain.frame import Frame
from stripwatch.errors import StreamUnavailable
from stripwatch.feed import FeedRules, Publisher
from stripwatch.ports import Kind, LineStream
from stripwatch.runtime import tracing
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.stream.memory import MemoryStream
from trace_collector import Collector, Seen, tracing_into
from unit.feeding import RUN, end, frame, start, take, troubled

HOUR_NS = 3_600_000_000_000


@pytest.fixture
def into() -> Iterator[Collector]:
    with tracing_into("ingest") as found:
        yield found


def publisher(line: LineStream, *, live: bool = False) -> Publisher:
    return Publisher(line, FeedRules(live=live), Lifecycle())


def captured(at_ns: int) -> Frame:
    one = frame(0)
    return Frame(replace(one.header, captured_at_ns=at_ns), one.pixels)


def first_of(into: Collector) -> Seen:
    tracing.close()
    (found,) = into.spans("publish frames", entry="frame")
    return found


def send(given: Frame, *, live: bool) -> None:
    feed = publisher(MemoryStream().line("line1"), live=live)
    feed.start(start(live=live))
    feed.frame(given)
    feed.end(end(1))


def test_a_live_frames_trace_begins_with_its_capture(into: Collector) -> None:
    at = time.time_ns() - 50_000_000
    send(captured(at), live=True)
    assert first_of(into).began_ns == at


@pytest.mark.parametrize(("live", "age_ns"), [(False, 50_000_000), (True, 2 * HOUR_NS), (True, -HOUR_NS)])
def test_that_of_a_replay_or_of_a_camera_without_a_clock_begins_when_it_comes(
    into: Collector, live: bool, age_ns: int
) -> None:
    before = time.time_ns()
    send(captured(before - age_ns), live=live)
    assert first_of(into).began_ns >= before


def test_every_entry_carries_the_context_of_its_sending_and_belongs_to_the_run(into: Collector) -> None:
    line = MemoryStream().line("line1")
    feed = publisher(line)
    feed.start(start())
    feed.frame(frame(0))
    feed.end(end(1))
    entries = take(line)
    tracing.close()
    (run,) = into.spans("run")
    sent = {f"00-{one.trace}-{one.id}-01": one for one in into.spans("publish frames")}
    assert [entry.kind for entry in entries] == [Kind.START, Kind.FRAME, Kind.END]
    begun, middle, last = (sent[entry.trace] for entry in entries)
    assert [(one.trace, one.parent) for one in (begun, last)] == [(run.trace, run.id)] * 2
    assert (middle.parent, middle.links) == ("", ((run.trace, run.id),))
    state = line.runs.state(RUN)
    assert state is not None
    assert state.trace == entries[0].trace


def test_an_entry_that_waits_for_the_stream_ends_its_span_when_it_is_there(into: Collector) -> None:
    line = MemoryStream().line("line1")
    source = troubled(line)
    feed = publisher(line, live=True)
    feed.start(start(live=True))
    source.trouble = StreamUnavailable("away")
    feed.frame(frame(0))
    assert not feed.flush()
    back = time.time_ns()
    source.trouble = None
    feed.close(30.0)
    assert first_of(into).ended_ns >= back


def test_a_run_that_the_stream_lost_goes_on_in_its_trace(into: Collector) -> None:
    stream = MemoryStream()
    line = stream.line("line1")
    source = troubled(line)
    feed = publisher(line)
    feed.start(start())
    known = line.runs.state(RUN)
    other = MemoryStream().line("line1")
    source.source = other.source
    feed.frame(frame(0))
    feed.end(end(1))
    state = other.runs.state(RUN)
    assert known is not None
    assert state is not None
    assert state.trace == known.trace != ""
