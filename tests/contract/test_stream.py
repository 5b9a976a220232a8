"""The contract of the stream ports; every adapter passes it."""

from __future__ import annotations

import time

import pytest
from redis_servers import wait_for

from stripwatch.domain.frame import RunId
from stripwatch.errors import BadInput, Conflict, CursorLost
from stripwatch.ports import (
    Done,
    Entry,
    Event,
    Keeping,
    Kind,
    LineState,
    LineStream,
    Outgoing,
    Record,
    Recorded,
    RunState,
)


def run_on(line: LineStream, name: str = "r1", strip: str = "s1") -> RunId:
    return RunId(line.line, strip, name)


def start(
    line: LineStream,
    *,
    cameras: tuple[str, ...] = ("top",),
    live: bool = True,
    deadline_ms: int = 60_000,
    name: str = "r1",
) -> RunId:
    run = run_on(line, name)
    assert line.source.start_run(run, b"start", cameras=cameras, live=live, deadline_ms=deadline_ms)
    return run


def frames(run: RunId, count: int, first: int = 0) -> list[Outgoing]:
    return [
        Outgoing(Kind.FRAME, run, f"header {index}".encode(), b"pixels" * 10) for index in range(first, first + count)
    ]


def judge(line: LineStream, entry: Entry, body: bytes = b"result") -> Entry:
    """Finishes a frame and reads its result."""
    assert line.work.finish([Done(entry.id, Kind.RESULT, entry.run, body)]) == [True]
    return line.results.read("aggregator", 1, 0)[0]


def outcomes(
    line: LineStream, run: RunId, indices: list[int], camera: str = "top", failure: str = ""
) -> list[Recorded]:
    """Puts results of the given frames through `results` and records them."""
    recorded = []
    for index in indices:
        line.source.publish(frames(run, 1, index))
        [frame] = [entry for entry in line.frames.read("w", 10, 0) if entry.kind is Kind.FRAME]
        result = judge(line, frame)
        while result.kind is not Kind.RESULT:
            [result] = line.results.read("aggregator", 1, 0)
        recorded += line.runs.record([Record(result.id, run, camera, index, 4, 5, b"", failure)])
    return recorded


def end(line: LineStream, run: RunId, count: int, camera: str = "top", shed: int = 0) -> Recorded:
    line.source.publish([Outgoing(Kind.END, run, b"end")])
    entry = line.frames.read("w", 10, 0)[-1]
    line.work.finish([Done(entry.id, Kind.END, run, b"end")])
    result = line.results.read("aggregator", 10, 0)[-1]
    return line.runs.record_end(result.id, run, camera, b"end", count, shed)


def state(line: LineStream, run: RunId) -> RunState:
    found = line.runs.state(run)
    assert found is not None
    return found


def verdict(run: RunId) -> Event:
    return Event(f"verdict of {run}", run, b'{"verdict": true}', b"verdict")


def close(line: LineStream, run: RunId) -> None:
    assert line.runs.close(run, state(line, run).revision, verdict(run))


# Reading


def test_entries_come_in_order_and_only_once(line: LineStream) -> None:
    run = start(line)
    line.source.publish(frames(run, 3))
    entries = line.frames.read("one", 10, 0)
    assert [entry.kind for entry in entries] == [Kind.START, Kind.FRAME, Kind.FRAME, Kind.FRAME]
    assert [entry.body for entry in entries[1:]] == [b"header 0", b"header 1", b"header 2"]
    assert entries[1].pixels == b"pixels" * 10
    assert entries[1].run == run
    assert line.frames.read("two", 10, 0) == []


def test_a_read_waits_no_longer_than_asked(line: LineStream) -> None:
    assert line.frames.read("one", 10, 50) == []


def test_an_abandoned_entry_is_claimed_and_its_deliveries_are_counted(line: LineStream) -> None:
    run = start(line)
    line.source.publish(frames(run, 2))
    first = line.frames.read("dead", 10, 0)
    assert [entry.deliveries for entry in first] == [1, 1, 1]
    assert line.frames.claim("living", 60_000, 10) == []
    claimed = line.frames.claim("living", 0, 2)
    claimed += line.frames.claim("living", 0, 2)[:1]
    assert {entry.id for entry in claimed} <= {entry.id for entry in first}
    assert claimed[0].deliveries == 2
    assert claimed[1].pixels == b"pixels" * 10


def test_every_abandoned_entry_is_found_however_many_there_are(line: LineStream) -> None:
    run = start(line)
    line.source.publish(frames(run, 50))
    line.frames.read("dead", 100, 0)
    found = set()
    for number in range(51):
        [entry] = line.frames.claim(f"c{number}", 0, 1)
        line.work.finish([Done(entry.id, entry.kind, run, b"x")])
        found.add(entry.id)
    assert len(found) == 51
    assert line.frames.claim("c", 0, 1) == []


def test_a_living_worker_keeps_what_is_its_own(line: LineStream) -> None:
    run = start(line)
    [entry] = line.frames.read("slow", 10, 0)
    line.frames.keep("slow", [entry.id])
    assert line.frames.claim("other", 30_000, 10) == []
    assert entry.run == run


def test_whoever_says_that_it_lives_begins_its_idle_time_anew(line: LineStream) -> None:
    start(line)
    [entry] = line.frames.read("slow", 10, 0)
    time.sleep(0.6)
    began = time.monotonic()
    line.frames.keep("slow", [entry.id])
    taken = line.frames.claim("other", 500, 10)
    assert not taken or time.monotonic() - began >= 0.5  # unless the machine itself stood still for so long
    time.sleep(0.6)
    assert [one.id for one in line.frames.claim("other", 500, 10)] == [entry.id]


def test_keeping_does_not_take_an_entry_back_from_who_claimed_it(line: LineStream) -> None:
    start(line)
    [entry] = line.frames.read("slow", 10, 0)
    line.frames.claim("other", 0, 10)
    line.frames.keep("slow", [entry.id])
    line.frames.hand_back("slow", [entry.id])
    assert line.frames.claim("third", 30_000, 10) == []


def test_an_entry_handed_back_can_be_claimed_at_once_and_that_delivery_does_not_count(line: LineStream) -> None:
    start(line)
    [entry] = line.frames.read("going", 10, 0)
    line.frames.hand_back("going", [entry.id])
    [again] = line.frames.claim("staying", 3_600_000, 10)
    assert (again.id, again.deliveries) == (entry.id, 1)


def test_an_entry_that_only_waits_is_excused_from_this_delivery(line: LineStream) -> None:
    start(line)
    [entry] = line.frames.read("waiting", 10, 0)
    line.frames.excuse("waiting", [entry])
    line.frames.excuse("waiting", [entry])
    [again] = line.frames.claim("other", 0, 10)
    assert again.deliveries == 1
    line.frames.excuse("waiting", [entry])
    assert line.frames.claim("third", 0, 10)[0].deliveries == 2


def test_a_consumer_with_entries_cannot_leave(line: LineStream) -> None:
    start(line)
    [entry] = line.frames.read("going", 10, 0)
    assert not line.frames.leave("going")
    line.frames.hand_back("going", [entry.id])
    assert line.frames.leave("going")
    assert line.frames.claim("staying", 1000, 10)


def test_the_backlog_is_what_has_no_outcome(line: LineStream) -> None:
    run = start(line)
    line.source.publish(frames(run, 4))
    assert (line.frames.backlog().waiting, line.frames.backlog().pending) == (5, 0)
    entries = line.frames.read("w", 3, 0)
    line.work.finish([Done(entry.id, entry.kind, run, b"r") for entry in entries])
    assert (line.frames.backlog().waiting, line.frames.backlog().pending) == (2, 0)
    assert line.results.backlog().waiting == 3


def test_an_entry_says_when_it_came_and_the_oldest_one_how_long_it_has_waited(line: LineStream) -> None:
    assert line.frames.backlog().oldest_ms == 0
    before = line.runs.now_ms()
    run = start(line)
    line.source.publish(frames(run, 1))
    came = [entry.came_ms for entry in line.frames.read("w", 10, 0)]
    assert before <= came[0] <= came[1] <= line.runs.now_ms()
    wait_for(lambda: line.frames.backlog().oldest_ms > 0, "a millisecond")
    assert line.frames.backlog().oldest_ms <= line.runs.now_ms() - came[0]


# Sources


def test_a_run_starts_once(line: LineStream) -> None:
    run = start(line)
    assert not line.source.start_run(run, b"start", cameras=["top"], live=True, deadline_ms=1)
    assert len(line.frames.read("w", 10, 0)) == 1
    assert line.runs.open_runs() == [run]


def test_a_closed_run_does_not_start_again(line: LineStream) -> None:
    run = start(line)
    close(line, run)
    with pytest.raises(Conflict, match="verdict"):
        line.source.start_run(run, b"start", cameras=["top"], live=True, deadline_ms=1)


def test_frames_of_a_run_that_never_started_are_refused(line: LineStream) -> None:
    with pytest.raises(Conflict, match="never started"):
        line.source.publish(frames(run_on(line), 1))


def test_live_sources_share_a_line_and_replays_have_it_alone(line: LineStream) -> None:
    line.source.hold("camera-1", live=True, ttl_ms=60_000)
    line.source.hold("camera-2", live=True, ttl_ms=60_000)
    with pytest.raises(Conflict, match="live source"):
        line.source.hold("replay", live=False, ttl_ms=60_000)
    line.source.release("camera-1")
    line.source.release("camera-2")
    line.source.hold("replay", live=False, ttl_ms=60_000)
    line.source.hold("replay", live=False, ttl_ms=60_000)
    with pytest.raises(Conflict, match="replay source"):
        line.source.hold("camera-1", live=True, ttl_ms=60_000)
    with pytest.raises(Conflict, match="replay source"):
        line.source.hold("replay-2", live=False, ttl_ms=60_000)


def test_a_line_is_free_when_its_replay_gives_it_back(line: LineStream) -> None:
    line.source.hold("replay:1", live=False, ttl_ms=60_000)
    with pytest.raises(Conflict, match=f"line {line.line}: a replay source has it .replay:1."):
        line.source.hold("camera", live=True, ttl_ms=60_000)
    line.source.release("replay:1")
    line.source.hold("camera", live=True, ttl_ms=60_000)


def test_how_long_frames_have_waited_is_told_of_those_that_nobody_was_given(line: LineStream) -> None:
    assert line.source.waited_ms() == 0
    run = start(line)
    line.source.publish(frames(run, 2))
    assert len(line.frames.read("stuck", 3, 0)) == 3
    assert line.source.waited_ms() == 0
    line.source.publish(frames(run, 1, 2))
    time.sleep(0.01)
    assert line.source.waited_ms() >= 10


def test_a_line_runs_until_told_otherwise(line: LineStream) -> None:
    assert line.source.state() is LineState.RUNNING
    line.source.set_state(LineState.PAUSED)
    assert line.source.state() is LineState.PAUSED
    line.source.set_state(LineState.RUNNING)
    assert line.source.state() is LineState.RUNNING


def test_lines_do_not_see_each_other(line: LineStream, other_line: LineStream) -> None:
    run = start(line)
    other = start(other_line)
    line.source.publish(frames(run, 1))
    assert [entry.run for entry in other_line.frames.read("w", 10, 0)] == [other]
    close(other_line, other)
    assert line.runs.open_runs() == [run]
    assert line.verdicts.since("", 10, 0) == []


# Outcomes


def test_finishing_twice_gives_one_result(line: LineStream) -> None:
    run = start(line)
    [entry] = line.frames.read("w", 10, 0)
    done = Done(entry.id, entry.kind, run, b"start")
    assert line.work.finish([done, done]) == [True, False]
    assert line.work.finish([done]) == [False]
    assert len(line.results.read("a", 10, 0)) == 1


def test_a_buried_frame_keeps_its_bytes_and_its_reason_and_still_has_a_result(line: LineStream) -> None:
    run = start(line)
    line.source.publish(frames(run, 1))
    frame = line.frames.read("w", 10, 0)[1]
    assert line.work.bury(Done(frame.id, Kind.RESULT, run, b"failed"), "truncated")
    assert not line.work.bury(Done(frame.id, Kind.RESULT, run, b"failed"), "truncated")
    [letter] = line.dead.page(10)
    assert line.dead.count() == 1
    assert (letter.reason, letter.origin, letter.entry.kind) == ("truncated", "frames", Kind.FRAME)
    assert (letter.entry.body, letter.entry.pixels) == (b"header 0", b"pixels" * 10)
    assert letter.entry.id == letter.id
    assert [entry.body for entry in line.results.read("a", 10, 0)] == [b"failed"]


def test_a_dead_letter_goes_back_where_it_came_from(line: LineStream) -> None:
    run = start(line)
    line.source.publish(frames(run, 1))
    frame = line.frames.read("w", 10, 0)[1]
    line.work.bury(Done(frame.id, Kind.RESULT, run, b"failed"), "why")
    [letter] = line.dead.page(10)
    assert line.dead.requeue(letter.id)
    assert not line.dead.requeue(letter.id)
    assert (line.dead.page(10), line.dead.count()) == ([], 0)
    [again] = line.frames.read("w", 10, 0)
    assert (again.body, again.pixels, again.run) == (frame.body, frame.pixels, run)


def test_a_requeued_letter_is_news_of_its_run(line: LineStream) -> None:
    run = start(line, deadline_ms=0)
    line.source.publish(frames(run, 1))
    entries = line.frames.read("w", 10, 0)
    line.work.bury(Done(entries[1].id, Kind.RESULT, run, b""), "why")
    line.work.finish([Done(entries[0].id, Kind.START, run, b"start")])
    line.runs.acknowledge([entry.id for entry in line.results.read("a", 10, 0)])
    before = state(line, run)
    assert not before.busy
    line.dead.requeue(line.dead.page(1)[0].id)
    assert state(line, run).busy
    assert not line.runs.close(run, before.revision, verdict(run))


def test_a_run_that_is_not_open_takes_no_pins(line: LineStream) -> None:
    assert line.work.pin(run_on(line, "never"), b"pins") == b""
    run = start(line)
    assert line.runs.close(run, state(line, run).revision, Event("v", run, b"{}", b""))
    assert line.work.pin(run, b"pins") == b""
    assert line.work.info(run).pins == b""


def test_the_first_pins_of_a_run_stay(line: LineStream) -> None:
    run = start(line)
    assert line.work.pin(run, b"first") == b"first"
    assert line.work.pin(run, b"second") == b"first"
    info = line.work.info(run)
    assert (info.start, info.pins, info.closed) == (b"start", b"first", False)
    assert line.work.info(run_on(line, "other")).start == b""


def test_a_frame_judged_twice_counts_once(line: LineStream) -> None:
    run = start(line)
    assert outcomes(line, run, [3, 3]) == [Recorded.NEW, Recorded.REPEAT]
    camera = state(line, run).cameras["top"]
    assert camera.judged[0] == 0b00010000
    assert (camera.inspected_mm2, camera.strip_mm2) == (4, 5)


def test_judged_beats_failed_in_either_order(line: LineStream) -> None:
    run = start(line)
    assert outcomes(line, run, [0], failure="broken") == [Recorded.NEW]
    assert state(line, run).failures == {("top", 0): "broken"}
    assert outcomes(line, run, [0]) == [Recorded.NEW]
    assert outcomes(line, run, [0], failure="broken") == [Recorded.REPEAT]
    assert state(line, run).failures == {}
    assert state(line, run).cameras["top"].judged[0] == 0b10000000


def test_flagged_records_come_back_in_one_order(line: LineStream) -> None:
    run = start(line)
    line.source.publish(frames(run, 3))
    entries = line.frames.read("w", 10, 0)
    line.work.finish([Done(entry.id, Kind.RESULT, run, b"r") for entry in entries])
    results = line.results.read("a", 10, 0)
    records = [Record(results[at].id, run, "top", at, 1, 1, f"flag {at}".encode()) for at in (2, 0, 1)]
    line.runs.record(records)
    assert state(line, run).flagged == (b"flag 0", b"flag 1", b"flag 2")


def test_an_outcome_of_an_unknown_run_is_not_acked_and_can_be_discarded(line: LineStream) -> None:
    run = start(line)
    [entry] = line.frames.read("w", 10, 0)
    result = judge(line, entry)
    assert line.runs.record([Record(result.id, run_on(line, "ghost"), "top", 0, 1, 1)]) == [Recorded.UNKNOWN]
    assert line.results.backlog().pending == 1
    line.runs.discard(result.id, "no such run")
    assert line.results.backlog().waiting == 0
    assert [(letter.reason, letter.origin) for letter in line.dead.page(1)] == [("no such run", "results")]
    assert run in line.runs.open_runs()


def test_acknowledged_results_are_gone(line: LineStream) -> None:
    start(line)
    [entry] = line.frames.read("w", 10, 0)
    result = judge(line, entry)
    line.runs.acknowledge([result.id])
    assert line.results.backlog().waiting == 0


# Ends


def test_a_run_is_due_when_its_last_outcome_is_in(line: LineStream) -> None:
    run = start(line, cameras=("top", "bottom"))
    outcomes(line, run, [0, 1])
    end(line, run, 2)
    assert line.runs.due(10) == []
    end(line, run, 3, camera="bottom", shed=3)
    assert line.runs.due(10) == [run]


def test_after_an_end_that_overtook_its_frames_a_run_is_due_again_with_the_last_of_them(line: LineStream) -> None:
    run = start(line)
    end(line, run, 2)
    assert line.runs.due(10) == [run]
    line.runs.postpone(run, state(line, run).revision, 60_000)
    assert line.runs.due(10) == []
    outcomes(line, run, [0], failure="broken")
    assert line.runs.due(10) == []
    outcomes(line, run, [1])
    assert line.runs.due(10) == [run]


def test_what_an_undeclared_camera_sends_is_remembered_by_the_cameras_name_alone(line: LineStream) -> None:
    run = start(line)
    before = state(line, run).revision
    assert outcomes(line, run, [0, 5], camera="stray") == [Recorded.STRAY, Recorded.STRAY]
    assert end(line, run, 9, camera="another") is Recorded.STRAY
    found = state(line, run)
    assert (found.strays, set(found.cameras)) == (("another", "stray"), {"top"})
    assert found.revision > before
    outcomes(line, run, [0])
    end(line, run, 1)
    assert line.runs.due(10) == [run]


def test_a_run_is_due_when_its_last_end_is_in_although_a_frame_is_missing(line: LineStream) -> None:
    run = start(line, cameras=("top", "low"), live=False)
    outcomes(line, run, [0])
    end(line, run, 2)
    assert line.runs.due(10) == []
    end(line, run, 1, camera="low")
    assert line.runs.due(10) == [run]
    line.runs.postpone(run, state(line, run).revision, 60_000)
    assert line.runs.due(10) == []


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2], [1, 5, 0, 4, 2, 3]])
def test_what_is_kept_of_flagged_frames_is_bounded_and_the_same_in_any_order(
    line: LineStream, order: list[int]
) -> None:
    run = start(line)
    sizes = [40, 30, 20, 200, 1, 1]  # the fourth does not fit: nothing behind it is kept, however small
    for index in order:
        line.source.publish(frames(run, 1, index))
        [frame] = [entry for entry in line.frames.read("w", 10, 0) if entry.kind is Kind.FRAME]
        result = judge(line, frame)
        while result.kind is not Kind.RESULT:
            [result] = line.results.read("aggregator", 1, 0)
        body = str(index).encode() * sizes[index]
        line.runs.record([Record(result.id, run, "top", index, 4, 5, body)], Keeping(flagged_bytes=100))
    found = state(line, run)
    assert [body[:1] for body in found.flagged] == [b"0", b"1", b"2"]
    assert found.beyond == 3


def test_reasons_of_failed_frames_are_bounded_and_the_frames_are_not(line: LineStream) -> None:
    run = start(line)
    for index in (2, 0, 1):
        line.source.publish(frames(run, 1, index))
        [frame] = [entry for entry in line.frames.read("w", 10, 0) if entry.kind is Kind.FRAME]
        result = judge(line, frame)
        while result.kind is not Kind.RESULT:
            [result] = line.results.read("aggregator", 1, 0)
        failed = Record(result.id, run, "top", index, 0, 0, b"", "too dark")
        assert line.runs.record([failed], Keeping(reason_bytes=16)) == [Recorded.NEW]
    found = state(line, run)
    assert found.failures == {("top", 0): "too dark", ("top", 1): "too dark"}
    assert found.cameras["top"].failed == b"\xe0"
    assert outcomes(line, run, [1]) == [Recorded.NEW]
    found = state(line, run)
    assert (found.cameras["top"].failed, found.failures) == (b"\xa0", {("top", 0): "too dark"})


def test_attempts_at_an_open_run_are_counted_while_it_stays_as_it_is(line: LineStream) -> None:
    run = start(line)
    revision = state(line, run).revision
    assert [line.runs.attempt(run, revision), line.runs.attempt(run, revision)] == [1, 2]
    assert state(line, run).revision == revision
    outcomes(line, run, [0])
    revision = state(line, run).revision
    assert line.runs.attempt(run, revision) == 1  # news of the run: who decided it then did not end over it
    assert line.runs.close(run, revision, Event("v", run, b"{}", b""))
    assert line.runs.attempt(run, revision) == 0


def test_a_frame_whose_reason_was_not_kept_is_judged_after_all(line: LineStream) -> None:
    run = start(line)
    for index in (0, 1):
        line.source.publish(frames(run, 1, index))
        [frame] = [entry for entry in line.frames.read("w", 10, 0) if entry.kind is Kind.FRAME]
        result = judge(line, frame)
        while result.kind is not Kind.RESULT:
            [result] = line.results.read("aggregator", 1, 0)
        line.runs.record([Record(result.id, run, "top", index, 0, 0, b"", "too dark")], Keeping(reason_bytes=8))
    assert outcomes(line, run, [1, 0]) == [Recorded.NEW, Recorded.NEW]
    found = state(line, run)
    assert found.cameras["top"].judged == b"\xc0"
    assert not any(found.cameras["top"].failed)
    assert found.failures == {}


def test_verdicts_are_kept_up_to_their_bytes_and_the_newest_always(line: LineStream) -> None:
    keeping = Keeping(verdict_bytes=250)
    runs = [start(line, name=f"r{number}") for number in range(4)]
    for number, run in enumerate(runs):
        verdict = Event(f"v{number}", run, b"j" * 60, b"b" * 40)
        assert line.runs.close(run, state(line, run).revision, verdict, keeping)
    assert [one.event.event_id for one in line.verdicts.since("", 10, 0)] == ["v2", "v3"]
    assert line.verdicts.of(runs[1]) is None
    large = start(line, name="large")
    assert line.runs.close(large, state(line, large).revision, Event("v4", large, b"j" * 300, b""), keeping)
    assert [one.event.event_id for one in line.verdicts.since("", 10, 0)] == ["v4"]


def test_a_second_end_of_a_camera_changes_nothing(line: LineStream) -> None:
    run = start(line)
    assert end(line, run, 0) is Recorded.NEW
    assert end(line, run, 5) is Recorded.REPEAT
    assert line.runs.due(10) == [run]


def test_a_live_run_is_due_after_its_deadline_and_a_replay_never_is(line: LineStream) -> None:
    live = start(line, deadline_ms=0, name="live")
    start(line, live=False, deadline_ms=0, name="replay")
    assert line.runs.due(10) == [live]
    line.runs.postpone(live, state(line, live).revision, 60_000)
    assert line.runs.due(10) == []


def test_postponing_does_not_bring_a_closed_run_back(line: LineStream) -> None:
    run = start(line)
    revision = state(line, run).revision
    close(line, run)
    line.runs.postpone(run, revision, 0)
    assert line.runs.due(10) == []


def test_a_run_is_busy_while_its_entries_wait(line: LineStream) -> None:
    run = start(line)
    assert state(line, run).busy
    [entry] = line.frames.read("w", 10, 0)
    result = judge(line, entry)
    assert state(line, run).busy
    line.runs.acknowledge([result.id])
    assert not state(line, run).busy


def test_a_verdict_that_is_looked_up_has_its_place_among_the_others(line: LineStream) -> None:
    runs = [start(line, name="r1"), start(line, name="r2")]
    for run in runs:
        close(line, run)
    assert [line.verdicts.of(run) for run in runs] == line.verdicts.since("", 10, 0)


def test_a_cursor_that_no_event_came_with_is_refused(line: LineStream) -> None:
    for wrong in ("1700000000000-x", "1700000000000-", "-1", "99999999999999999999-0", "yesterday"):
        with pytest.raises(BadInput, match="cursor: expected one that came with an event"):
            line.verdicts.since(wrong, 1, 0)


def test_a_run_closes_once_and_only_as_it_was_seen(line: LineStream) -> None:
    run = start(line)
    seen = state(line, run)
    outcomes(line, run, [0])
    assert not line.runs.close(run, seen.revision, verdict(run))
    seen = state(line, run)
    assert line.runs.close(run, seen.revision, verdict(run))
    assert not line.runs.close(run, seen.revision, verdict(run))
    assert line.runs.state(run) is None
    assert line.runs.open_runs() == []
    assert line.work.info(run).closed
    assert len(line.verdicts.since("", 10, 0)) == 1


def test_a_verdict_decided_without_a_result_that_was_on_its_way_is_refused(line: LineStream) -> None:
    run = start(line)
    [entry] = line.frames.read("w", 10, 0)
    seen = state(line, run)
    judge(line, entry)
    assert not line.runs.close(run, seen.revision, verdict(run))


def test_a_run_that_has_become_due_is_not_postponed_by_who_saw_it_before(line: LineStream) -> None:
    run = start(line)
    seen = state(line, run)
    end(line, run, 0)
    line.runs.postpone(run, seen.revision, 60_000)
    assert line.runs.due(10) == [run]


def test_what_comes_after_the_verdict_is_counted_late(line: LineStream) -> None:
    run = start(line)
    close(line, run)
    assert outcomes(line, run, [0, 1]) == [Recorded.LATE, Recorded.LATE]
    assert line.runs.late(run) == 2
    assert line.results.backlog().waiting == 0
    assert end(line, run, 2) is Recorded.LATE


def test_the_same_strip_in_a_new_run_is_another_run(line: LineStream) -> None:
    first = start(line, name="r1")
    close(line, first)
    second = start(line, name="r2")
    assert outcomes(line, second, [0]) == [Recorded.NEW]


def test_an_alarm_of_one_key_sounds_once_and_never_after_the_verdict(line: LineStream) -> None:
    run = start(line)
    assert line.runs.alarm("scratches", Event("a1", run, b"{}", b"a"))
    assert not line.runs.alarm("scratches", Event("a1", run, b"{}", b"a"))
    close(line, run)
    assert not line.runs.alarm("inclusion", Event("a2", run, b"{}", b"a"))
    assert [published.event.event_id for published in line.alarms.since("", 10, 0)] == ["a1"]


# Following


def test_a_follower_resumes_where_it_was(line: LineStream) -> None:
    runs = [start(line, name=f"r{number}") for number in range(4)]
    for run in runs:
        close(line, run)
    first = line.verdicts.since("", 2, 0)
    rest = line.verdicts.since(first[-1].cursor, 10, 0)
    assert [one.event.run for one in first + rest] == runs
    assert first[0].event == verdict(runs[0])
    assert line.verdicts.since(line.verdicts.latest(), 10, 0) == []


def test_a_cursor_beyond_the_end_fails_loudly(line: LineStream) -> None:
    close(line, start(line))
    with pytest.raises(CursorLost, match="beyond"):
        line.verdicts.since("99999999999999-0", 10, 0)


def test_a_cursor_that_is_none_is_refused(line: LineStream) -> None:
    with pytest.raises(BadInput, match="cursor"):
        line.verdicts.since("yesterday", 10, 0)


def test_verdicts_can_be_looked_up_and_paged(line: LineStream) -> None:
    runs = [start(line, name=f"r{number}") for number in range(3)]
    for run in runs:
        close(line, run)
    found = line.verdicts.of(runs[1])
    assert found is not None
    assert found.event.run == runs[1]
    assert line.verdicts.of(run_on(line, "ghost")) is None
    newest = line.verdicts.page("", 2)
    assert [one.event.run for one in newest] == [runs[2], runs[1]]
    assert [one.event.run for one in line.verdicts.page(newest[-1].cursor, 2)] == [runs[0]]


# Recording


def test_a_tap_copies_what_is_published_while_it_is_leased(line: LineStream) -> None:
    run = start(line)
    line.source.publish(frames(run, 1))
    line.tap.lease("recorder", 60_000)
    line.source.publish(frames(run, 2, first=1))
    tapped = line.tap.read("", 10, 0)
    assert [(one.number, one.entry.body, one.entry.pixels) for one in tapped] == [
        (1, b"header 1", b"pixels" * 10),
        (2, b"header 2", b"pixels" * 10),
    ]
    line.tap.forget(tapped[1].id)
    assert [one.number for one in line.tap.read("", 10, 0)] == [2]
    assert line.tap.read(tapped[1].id, 10, 0) == []


def test_a_line_has_one_recorder(line: LineStream) -> None:
    line.tap.lease("one", 60_000)
    line.tap.lease("one", 60_000)
    with pytest.raises(Conflict, match="one recorder"):
        line.tap.lease("two", 60_000)
    line.tap.release("one")
    line.tap.lease("two", 60_000)
    run = start(line)
    assert [one.entry.kind for one in line.tap.read("", 10, 0)] == [Kind.START]
    assert run.line == line.line


def test_heartbeats_say_who_is_there(line: LineStream, other_line: LineStream) -> None:
    line.beats.beat("preprocess", "a", 60_000)
    line.beats.beat("preprocess", "b", 60_000)
    line.beats.beat("aggregate", "c", 60_000)
    other_line.beats.beat("preprocess", "d", 60_000)
    assert line.beats.alive() == {"preprocess": ["a", "b"], "aggregate": ["c"]}


def test_memory_in_use_is_told(line: LineStream) -> None:
    run = start(line)
    before = line.source.memory().used
    line.source.publish([Outgoing(Kind.FRAME, run, b"h", b"x" * 4_000_000)])
    assert line.source.memory().used > before + 3_000_000
