"""The context of a trace on its way through the streams; every adapter passes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from redis_servers import binaries, server

from stripwatch.domain.frame import RunId
from stripwatch.ports import MOST_TRACED, Done, Entry, Kind, LineStream, Outgoing, Record
from stripwatch.stream import connect


def context(number: int, flags: str = "01") -> str:
    return f"00-{number:032x}-{number:016x}-{flags}"


START, FRAME, END = context(1), context(2), context(3)
BROKEN = ["", "none", context(2)[:-1], context(2, "00"), context(2) + "-more", context(0), "\x00" * 55, "x" * 10_000]


def start(line: LineStream, trace: str = START) -> RunId:
    run = RunId(line.line, "s1", "r1")
    line.source.start_run(run, b"start", cameras=["top"], live=True, deadline_ms=60_000, trace=trace)
    return run


def send(line: LineStream, run: RunId, *traces: str) -> list[Entry]:
    """Frames with these contexts, as a worker gets them."""
    line.source.publish([Outgoing(Kind.FRAME, run, b"h", b"p", trace) for trace in traces])
    return [entry for entry in line.frames.read("w", 1000, 0) if entry.kind is Kind.FRAME]


def results(line: LineStream, entries: list[Entry], *traces: str) -> list[Entry]:
    line.work.finish(
        [Done(one.id, Kind.RESULT, one.run, b"r", trace) for one, trace in zip(entries, traces, strict=True)]
    )
    return line.results.read("a", 1000, 0)


def record(line: LineStream, entries: list[Entry]) -> None:
    line.runs.record([Record(one.id, one.run, "top", at, 1, 1, trace=one.trace) for at, one in enumerate(entries)])


def test_a_context_goes_with_its_start_its_frame_and_its_end(line: LineStream) -> None:
    run = start(line)
    line.source.publish([Outgoing(Kind.FRAME, run, b"h", b"p", FRAME), Outgoing(Kind.END, run, b"e", trace=END)])
    taken = line.frames.read("w", 10, 0)
    assert [(one.kind, one.trace) for one in taken] == [(Kind.START, START), (Kind.FRAME, FRAME), (Kind.END, END)]
    line.work.finish([Done(one.id, one.kind, run, b"r", context(10 + at)) for at, one in enumerate(taken)])
    assert [one.trace for one in line.results.read("a", 10, 0)] == [context(10), context(11), context(12)]


def test_frames_without_one_come_beside_those_that_have_one(line: LineStream) -> None:
    run = start(line, "")
    assert [one.trace for one in send(line, run, "", FRAME, "")] == ["", FRAME, ""]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_context_is_none_and_its_entry_is_worked_on_as_ever(line: LineStream, broken: str) -> None:
    run = start(line, broken)
    (frame,) = send(line, run, broken)
    assert (frame.body, frame.pixels, frame.trace) == (b"h", b"p", "")
    (result,) = results(line, [frame], broken)[-1:]
    assert (result.body, result.trace) == (b"r", "")
    line.runs.record([Record(result.id, run, "top", 0, 1, 1, trace=broken)])
    state = line.runs.state(run)
    assert state is not None
    assert (state.trace, state.traced, state.cameras["top"].judged) == ("", (), b"\x80")


def test_a_run_remembers_its_own_context_and_those_of_its_first_frames(line: LineStream) -> None:
    run = start(line)
    traces = [context(100 + number) if number % 2 else "" for number in range(2 * MOST_TRACED + 10)]
    record(line, [one for one in results(line, send(line, run, *traces), *traces) if one.kind is Kind.RESULT])
    state = line.runs.state(run)
    assert state is not None
    assert state.trace == START
    assert state.traced == tuple(trace for trace in traces if trace)[:MOST_TRACED]


def test_a_repeated_result_is_remembered_once(line: LineStream) -> None:
    run = start(line)
    for _ in range(2):
        (frame,) = send(line, run, FRAME)
        record(line, [one for one in results(line, [frame], FRAME) if one.kind is Kind.RESULT])
    state = line.runs.state(run)
    assert state is not None
    assert state.traced == (FRAME,)


def test_a_buried_frame_keeps_its_context_and_so_does_its_failed_result(line: LineStream) -> None:
    run = start(line)
    (frame,) = send(line, run, FRAME)
    assert line.work.bury(Done(frame.id, Kind.RESULT, run, b"failed", END), "truncated")
    assert [one.trace for one in line.results.read("a", 10, 0)] == [END]
    (letter,) = line.dead.page(10)
    assert letter.entry.body == b"h"
    assert line.dead.requeue(letter.id)
    assert [one.trace for one in line.frames.read("w", 10, 0)] == [FRAME]


def test_copies_for_a_recorder_are_of_no_trace(line: LineStream) -> None:
    line.tap.lease("recorder", 60_000)
    run = start(line)
    assert send(line, run, FRAME)[0].trace == FRAME
    copies = line.tap.read("", 10, 0)
    assert [(one.entry.kind, one.entry.body, one.entry.trace) for one in copies] == [
        (Kind.START, b"start", ""),
        (Kind.FRAME, b"h", ""),
    ]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with server(next(iter(binaries().values())), tmp_path_factory.mktemp("redis")) as found:
        yield found


def test_what_is_not_taken_costs_redis_no_field(port: int) -> None:
    """And so an entry of a version before this one looks the same."""
    line, raw = connect(f"redis://127.0.0.1:{port}").line("line1"), redis.Redis(port=port)
    run = start(line, "")
    record(line, results(line, send(line, run, "", ""), "", "")[1:])
    line.work.bury(Done(send(line, run, "")[0].id, Kind.RESULT, run, b"failed"), "truncated")
    for stream in ("frames", "results", "dead"):
        assert all(b"traceparent" not in fields for _, fields in raw.xrange(f"sw:{{line1}}:{stream}"))
    assert not {b"trace", b"traces"} & raw.hgetall("sw:{line1}:run:s1:r1").keys()


def test_what_is_taken_stands_in_the_entry_by_the_name_that_w3c_gave_it(port: int) -> None:
    line, raw = connect(f"redis://127.0.0.1:{port}").line("line2"), redis.Redis(port=port)
    run = start(line)
    line.source.publish([Outgoing(Kind.FRAME, run, b"h", b"p", FRAME)])
    entries = raw.xrange("sw:{line2}:frames")
    assert [fields.get(b"traceparent") for _, fields in entries] == [START.encode(), FRAME.encode()]
    assert raw.hget("sw:{line2}:run:s1:r1", "trace") == START.encode()
