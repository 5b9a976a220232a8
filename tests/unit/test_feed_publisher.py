"""The publisher: what the stream does not take waits or is shed, and nothing goes missing unsaid."""

from __future__ import annotations

import threading

import pytest

from stripwatch.domain.frame import IndexRange, RunId
from stripwatch.domain.strip import Shed
from stripwatch.errors import BadInput, Conflict, StreamFull, StreamUnavailable
from stripwatch.feed import FeedRules, Publisher
from stripwatch.ports import Event, Kind, LineState
from stripwatch.rpc.codec.frames import decode_start, encode_start
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.stream.memory import MemoryStream
from unit.feeding import RUN, Clock, end, ends, frame, indices, start, take, troubled

SIZE = (64, 64)
BYTES = 64 * 64


def publisher(line, clock=None, **rules):  # type: ignore[no-untyped-def]
    return Publisher(line, FeedRules(**rules), Lifecycle(), *([clock] if clock else []))


def test_a_run_goes_out_as_start_frames_and_ends_in_order() -> None:
    line = MemoryStream().line("line1")
    feed = publisher(line, live=False)
    feed.start(start(cameras=("a", "b")))
    for index in range(40):
        feed.frame(frame(index, camera="a"))
        feed.frame(frame(index, camera="b"))
    feed.end(end(40, camera="a"))
    feed.end(end(40, camera="b"))
    entries = take(line)
    assert [entry.kind for entry in entries] == [Kind.START] + [Kind.FRAME] * 80 + [Kind.END] * 2
    assert decode_start(entries[0].body) == start(cameras=("a", "b"))
    assert indices(entries) == [index for index in range(40) for _ in "ab"]
    assert entries[5].pixels == frame(2).pixels
    assert [(one.frames, one.shed) for one in ends(entries)] == [(40, ()), (40, ())]


def test_frames_go_out_in_batches() -> None:
    line = MemoryStream().line("line1")
    source = troubled(line)
    clock = Clock()
    feed = publisher(line, clock, live=False, batch_frames=16)
    feed.start(start())
    for index in range(48):
        feed.frame(frame(index))
    assert source.published == [16, 16, 16]
    clock.now += 1
    feed.frame(frame(48))
    assert source.published[-1] == 1, "a frame that comes alone does not wait for others"


def test_a_replay_waits_while_the_stream_is_full_and_loses_nothing() -> None:
    line = MemoryStream(limit=20 * BYTES).line("line1")
    feed = publisher(line, live=False, batch_frames=2)
    done = threading.Event()

    def send() -> None:
        feed.start(start())
        for index in range(60):
            feed.frame(frame(index, size=SIZE))
        feed.end(end(60))
        done.set()

    thread = threading.Thread(target=send)
    thread.start()
    seen, most = [], 0
    while not done.wait(0.02):
        most = max(most, line.source.memory().used)
        seen += take(line)
    thread.join()
    seen += take(line)
    assert indices(seen) == list(range(60))
    assert ends(seen)[0].shed == ()


def test_a_replay_stops_at_60_percent_of_the_limit() -> None:
    line = MemoryStream(limit=100 * BYTES).line("line1")
    clock = Clock()
    lifecycle = Lifecycle()
    feed = Publisher(line, FeedRules(live=False, batch_frames=1), lifecycle, clock)
    feed.start(start())

    def send() -> None:
        for index in range(200):
            clock.now += 0.06  # the stream is asked before each frame
            feed.frame(frame(index, size=SIZE))

    thread = threading.Thread(target=send)
    thread.start()
    while line.frames.backlog().waiting < 60:
        thread.join(0.01)
    thread.join(0.1)
    lifecycle.stop()
    thread.join()
    assert line.frames.backlog().waiting - 1 in (60, 61)


def test_a_live_source_sheds_the_newest_frames_and_declares_them_as_ranges() -> None:
    line = MemoryStream().line("line1")
    clock = Clock()
    feed = publisher(line, clock, live=True, budget_bytes=10 * BYTES, batch_frames=1)
    feed.start(start(live=True))
    for index in range(15):
        clock.now += 0.06
        feed.frame(frame(index, size=SIZE))
    entries = take(line)
    for index in range(15, 20):
        clock.now += 0.06
        feed.frame(frame(index, size=SIZE))
    feed.end(end(20))
    entries += take(line)
    assert indices(entries) == [*range(10), *range(15, 20)]
    assert ends(entries)[0].frames == 20
    assert ends(entries)[0].shed == (Shed(IndexRange(10, 14), "stream full"),)
    assert (feed.sent, feed.shed) == (15, 5)


def test_a_live_source_sheds_while_frames_wait_longer_than_they_may() -> None:
    line = MemoryStream().line("line1")
    clock = Clock()
    feed = publisher(line, clock, live=True, budget_s=5.0, batch_frames=1)
    waits = iter([0, 4_000, 6_000, 5_500, 1_000])
    line.source.waited_ms = lambda: next(waits)  # type: ignore[method-assign]
    feed.start(start(live=True))
    for index in range(4):
        clock.now += 1
        feed.frame(frame(index))
    feed.end(end(4))
    [declared] = ends(take(line))
    assert declared.shed == (Shed(IndexRange(1, 2), "frames wait too long"),)


def test_what_went_out_counts_before_the_stream_is_asked_again() -> None:
    line = MemoryStream().line("line1")
    clock = Clock()
    feed = publisher(line, clock, live=True, budget_bytes=10 * BYTES, batch_frames=1)
    feed.start(start(live=True))
    for index in range(15):
        feed.frame(frame(index, size=SIZE))
    feed.end(end(15))
    assert indices(take(line)) == list(range(10))


def test_a_strip_with_more_gaps_than_can_be_declared_is_shed_to_its_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stripwatch.feed.account.MOST_GAPS", 3)
    line = MemoryStream().line("line1")
    clock = Clock()
    feed = publisher(line, clock, live=True)
    feed.start(start(live=True))
    for index in range(12):
        line.source.set_state(LineState.PAUSED if index % 2 else LineState.RUNNING)
        clock.now += 1
        feed.frame(frame(index))
    feed.end(end(12))
    [declared] = ends(take(line))
    assert [(one.frames.first, one.frames.last) for one in declared.shed] == [(1, 1), (3, 3), (5, 5), (6, 11)]
    assert declared.shed[-1].reason == "too many gaps"


def test_a_paused_line_makes_a_live_source_shed_with_that_reason() -> None:
    line = MemoryStream().line("line1")
    clock = Clock()
    feed = publisher(line, clock, live=True)
    feed.start(start(live=True))
    feed.frame(frame(0))
    line.source.set_state(LineState.PAUSED)
    clock.now += 1
    feed.frame(frame(1))
    line.source.set_state(LineState.RUNNING)
    clock.now += 1
    feed.frame(frame(2))
    feed.end(end(3))
    entries = take(line)
    assert indices(entries) == [0, 2]
    assert ends(entries)[0].shed == (Shed(IndexRange(1, 1), "paused"),)


def test_a_paused_line_makes_a_replay_wait() -> None:
    line = MemoryStream().line("line1")
    line.source.set_state(LineState.PAUSED)
    feed = publisher(line, live=False)
    feed.start(start())
    thread = threading.Thread(target=lambda: (feed.frame(frame(0)), feed.end(end(1))))
    thread.start()
    thread.join(0.15)
    assert thread.is_alive()
    assert indices(take(line)) == []
    line.source.set_state(LineState.RUNNING)
    thread.join()
    assert indices(take(line)) == [0]


@pytest.mark.parametrize("live", [True, False])
def test_no_run_starts_on_a_draining_line(live: bool) -> None:
    line = MemoryStream().line("line1")
    line.source.set_state(LineState.DRAINING)
    feed = publisher(line, live=live)
    thread = threading.Thread(target=lambda: feed.start(start(live=live)))
    thread.start()
    thread.join(0.15)
    assert thread.is_alive()
    assert take(line) == []
    line.source.set_state(LineState.RUNNING)
    thread.join()
    assert [entry.kind for entry in take(line)] == [Kind.START]


def test_a_stop_ends_the_wait_of_a_draining_line() -> None:
    line = MemoryStream().line("line1")
    line.source.set_state(LineState.DRAINING)
    lifecycle = Lifecycle()
    lifecycle.stop()
    assert not Publisher(line, FeedRules(live=False), lifecycle).start(start())


def test_a_live_source_keeps_a_bounded_buffer_while_the_stream_is_away() -> None:
    line = MemoryStream().line("line1")
    source, clock = troubled(line), Clock()
    feed = publisher(line, clock, live=True, buffer_bytes=5 * BYTES)
    feed.start(start(live=True))
    source.trouble = StreamUnavailable("gone")
    for index in range(12):
        clock.now += 0.01
        feed.frame(frame(index, size=SIZE))
    source.trouble = None
    clock.now += 10
    feed.frame(frame(12, size=SIZE))
    feed.frame(frame(13, size=SIZE))
    feed.end(end(14))
    entries = take(line)
    assert indices(entries) == [0, 1, 2, 3, 4, 13]
    assert ends(entries)[0].shed == (Shed(IndexRange(5, 12), "stream away"),)


def test_a_start_that_the_stream_did_not_take_goes_out_later() -> None:
    line = MemoryStream().line("line1")
    source, clock = troubled(line), Clock()
    source.trouble = StreamUnavailable("gone")
    feed = publisher(line, clock, live=True)
    feed.start(start(live=True))
    feed.frame(frame(0))
    feed.end(end(1))
    source.trouble = None
    clock.now += 10
    feed.close(1.0)
    assert [entry.kind for entry in take(line)] == [Kind.START, Kind.FRAME, Kind.END]


@pytest.mark.parametrize("trouble", [StreamUnavailable("gone"), StreamFull("full")])
def test_a_replay_goes_on_where_it_was_when_the_stream_is_back(trouble: StreamUnavailable) -> None:
    line = MemoryStream().line("line1")
    source = troubled(line)
    feed = publisher(line, live=False, batch_frames=4)
    feed.start(start())
    source.trouble, source.lets_through = trouble, 2

    def send() -> None:
        for index in range(30):
            feed.frame(frame(index))
        feed.end(end(30))

    thread = threading.Thread(target=send)
    thread.start()
    thread.join(0.15)
    assert thread.is_alive()
    source.trouble = None
    thread.join()
    entries = take(line)
    assert sorted(set(indices(entries))) == list(range(30)), "repeats of the half-sent batch are harmless"
    assert ends(entries)[0].shed == ()


def test_what_was_sent_half_way_is_never_declared_shed() -> None:
    line = MemoryStream().line("line1")
    source, clock = troubled(line), Clock()
    feed = publisher(line, clock, live=True, batch_frames=4, buffer_bytes=8 * BYTES)
    feed.start(start(live=True))
    source.trouble, source.lets_through = StreamFull("full"), 3
    for index in range(12):
        clock.now += 0.3
        feed.frame(frame(index, size=SIZE))
    source.trouble = None
    feed.end(end(12))
    clock.now += 10
    feed.close(1.0)
    entries = take(line)
    shed = {index for one in ends(entries)[0].shed for index in range(one.frames.first, one.frames.last + 1)}
    assert shed.isdisjoint(indices(entries))
    assert shed | set(indices(entries)) == set(range(12))


def test_a_run_that_the_stream_lost_is_started_again() -> None:
    stream = MemoryStream()
    line = stream.line("line1")
    feed = publisher(line, live=False, batch_frames=1)
    feed.start(start())
    feed.frame(frame(0))
    line.source, line.frames = (other := MemoryStream().line("line1")).source, other.frames
    feed._outbox._source = other.source
    feed.frame(frame(1))
    feed.end(end(2))
    assert [entry.kind for entry in take(other)] == [Kind.START, Kind.FRAME, Kind.END]


def test_a_camera_that_had_ended_before_the_stream_lost_the_run_ends_again() -> None:
    """A replay has no deadline: without the end that was lost, its run would stay open for ever."""
    line = MemoryStream().line("line1")
    feed = publisher(line, live=False, batch_frames=1)
    feed.start(start(cameras=("top-1", "top-2")))
    feed.end(end(0))
    feed._outbox._source = (other := MemoryStream().line("line1")).source
    feed.frame(frame(0, camera="top-2"))
    feed.end(end(1, camera="top-2"))
    assert [one.camera for one in ends(take(other))] == ["top-1", "top-2"]


def test_a_run_that_has_its_verdict_cannot_be_sent_again() -> None:
    line = MemoryStream().line("line1")
    line.source.start_run(RUN, encode_start(start()), cameras=["top-1"], live=False, deadline_ms=1000)
    state = line.runs.state(RUN)
    assert state is not None
    assert line.runs.close(RUN, state.revision, Event("e", RUN, b"{}", b""))
    feed = publisher(line, live=False)
    with pytest.raises(Conflict, match="line1/s1/r1 has its verdict already"):
        feed.start(start())


def test_a_source_that_stops_in_mid_run_declares_that_the_rest_is_missing() -> None:
    line = MemoryStream().line("line1")
    feed = publisher(line, live=False)
    feed.start(start(cameras=("a", "b"), length_mm=1000.0))
    for index in range(4):
        feed.frame(frame(index, camera="a"))
    feed.end(end(10, camera="b"))
    feed.close(1.0)
    a, b = sorted(ends(take(line)), key=lambda one: one.camera)
    assert (a.frames, a.shed) == (10, (Shed(IndexRange(4, 9), "source stopped"),))
    assert (b.frames, b.shed) == (10, ())


def test_a_run_of_unknown_length_that_stops_lacks_at_least_one_frame() -> None:
    line = MemoryStream().line("line1")
    feed = publisher(line, live=True)
    feed.start(start(live=True))
    feed.frame(frame(0))
    feed.close(1.0)
    assert ends(take(line))[0].shed == (Shed(IndexRange(1, 1), "source stopped"),)


def test_what_could_not_be_delivered_is_named() -> None:
    line = MemoryStream().line("line1")
    source = troubled(line)
    feed = publisher(line, live=True)
    feed.start(start(live=True))
    source.trouble = StreamUnavailable("gone")
    feed.frame(frame(0))
    with pytest.raises(StreamUnavailable, match=r"line line1: stream away, .*1 frame, 1 end"):
        feed.close(0.1)


def test_a_frame_of_an_unknown_run_or_camera_is_refused_by_name() -> None:
    feed = publisher(MemoryStream().line("line1"), live=False)
    with pytest.raises(BadInput, match="line1/s1/other"):
        feed.frame(frame(0, run=RunId("line1", "s1", "other")))
    feed.start(start())
    with pytest.raises(BadInput, match=r"expected a camera of \['top-1'\], got 'x'"):
        feed.frame(frame(0, camera="x"))
