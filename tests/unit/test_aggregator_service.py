"""The aggregator on the stream in memory: what it records, when it closes, what survives it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from aggregator_cases import RUN, end, failed, header, pins, result, scratch, start
from stripwatch.domain.frame import IndexRange, RunId
from stripwatch.domain.result import FrameResult
from stripwatch.domain.strip import CameraEnd, RunStart, Shed
from stripwatch.errors import StreamUnavailable
from stripwatch.ports import Done, Event, Kind, LineStream, Outgoing, RunState
from stripwatch.rpc.codec.frames import encode_end, encode_header, encode_start
from stripwatch.rpc.codec.results import encode_pins, encode_result
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.stream.memory import MemoryStream
from stripwatch_aggregator import service
from stripwatch_aggregator.crew import run_all
from stripwatch_aggregator.decide import decide
from stripwatch_aggregator.memo import Memo
from stripwatch_aggregator.service import Aggregate
from stripwatch_aggregator.settings import AggregatorSettings


class Plant:
    """A line in memory, a source and workers that say what the test tells them, and an aggregator."""

    def __init__(self, **settings: object) -> None:
        self.stream = MemoryStream()
        self.line: LineStream = self.stream.line("line1")
        self.settings = AggregatorSettings(**{"claim_idle_seconds": 0.001, **settings})  # type: ignore[arg-type]
        self.aggregate = self.another("a")
        self.memo = Memo(self.line.work)

    def another(self, who: str) -> Aggregate:
        return Aggregate(self.stream, "line1", self.settings, Lifecycle(), who)

    def begin(self, begun: RunStart, deadline_ms: int = 60_000) -> None:
        cameras = [camera.name for camera in begun.cameras]
        body = encode_start(begun)
        self.line.source.start_run(begun.run, body, cameras=cameras, live=begun.live, deadline_ms=deadline_ms)
        self.line.work.pin(begun.run, encode_pins(pins()))
        self.pass_on()

    def send(self, *items: FrameResult | CameraEnd) -> None:
        """Each goes through the frames stream, as a worker would pass it on."""
        for item in items:
            if isinstance(item, CameraEnd):
                body, run, kind = encode_end(item), item.run, Kind.END
                self.line.source.publish([Outgoing(kind, run, body)])
                self.pass_on()
            else:
                run = item.header.run
                self.line.source.publish([Outgoing(Kind.FRAME, run, encode_header(item.header), b"pixels")])
                self.pass_on(item)

    def pass_on(self, outcome: FrameResult | None = None) -> None:
        for entry in self.line.frames.read("worker", 100, 0):
            kind, body = (Kind.RESULT, encode_result(outcome)) if outcome else (entry.kind, entry.body)
            self.line.work.finish([Done(entry.id, kind, entry.run, body)])

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            self.aggregate.step(self.line, self.memo)

    def verdicts(self) -> list[Event]:
        return [published.event for published in self.line.verdicts.since("", 100, 0)]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BLOCK_MS", 0)
    monkeypatch.setattr(service, "LOOK_AGAIN_MS", 0)


def test_a_strip_goes_in_and_one_verdict_comes_out() -> None:
    plant = Plant()
    plant.begin(start())
    plant.send(result(0), result(1, scratch(1)), end(2))
    plant.step(3)
    (event,) = plant.verdicts()
    assert json.loads(event.json)["data"]["disposition"] == "reject"
    assert plant.line.results.backlog().waiting == 0
    assert plant.line.runs.open_runs() == []


def test_an_end_that_overtakes_its_frames_concludes_nothing() -> None:
    plant = Plant()
    plant.begin(start())
    plant.send(end(2), result(1))
    plant.step(2)
    assert plant.verdicts() == []
    plant.send(result(0))
    plant.step(2)
    assert decode_verdict(plant.verdicts()[0].body).coverage == 10_000


def test_a_frame_judged_twice_counts_once() -> None:
    plant = Plant()
    plant.begin(start())
    plant.send(result(0), result(0), result(0), end(2))
    plant.step(2)
    assert plant.verdicts() == []
    plant.send(result(1))
    plant.step(2)
    verdict = decode_verdict(plant.verdicts()[0].body)
    assert (verdict.cameras[0].judged, verdict.inspected_mm2) == (2, 40_000)


def test_failed_and_shed_frames_complete_a_run() -> None:
    plant = Plant()
    plant.begin(start())
    plant.send(
        result(0), failed(1, "truncated"), end(4, shed=(Shed(IndexRange(2, 3), "full"), Shed(IndexRange(3, 3), "full")))
    )
    plant.step(2)
    verdict = decode_verdict(plant.verdicts()[0].body)
    assert [loss.reason.value for loss in verdict.cameras[0].lost] == ["failed", "shed"]


def test_a_strip_without_frames_gets_its_verdict() -> None:
    plant = Plant()
    plant.begin(start())
    plant.send(end(0))
    plant.step(2)
    assert decode_verdict(plant.verdicts()[0].body).disposition.value == "review"


def test_a_run_waits_for_all_of_its_cameras() -> None:
    plant = Plant()
    plant.begin(start(cameras=("c1", "b1")))
    plant.send(result(0), end(1))
    plant.step(2)
    assert plant.verdicts() == []
    plant.send(result(0, camera="b1"), end(1, "b1"))
    plant.step(2)
    assert len(plant.verdicts()) == 1


def test_a_result_after_the_verdict_is_counted_as_late_and_changes_nothing() -> None:
    plant = Plant()
    plant.begin(start())
    plant.send(result(0), end(1))
    plant.step(2)
    plant.send(result(1, scratch(1)))
    plant.step(2)
    assert len(plant.verdicts()) == 1
    assert plant.line.runs.late(RUN) == 1
    assert plant.line.alarms.since("", 10, 0) == []
    assert plant.line.results.backlog().waiting == 0


def test_a_live_run_past_its_deadline_is_decided_with_its_losses() -> None:
    plant = Plant()
    plant.begin(start(live=True), deadline_ms=0)
    plant.send(result(0), result(2))
    plant.step(2)
    verdict = decode_verdict(plant.verdicts()[0].body)
    assert (verdict.partial, verdict.cameras[0].expected, verdict.cameras[0].ended) == (True, 3, False)


def test_a_deadline_does_not_fire_while_frames_wait() -> None:
    plant = Plant()
    plant.begin(start(live=True), deadline_ms=0)
    plant.line.source.publish([Outgoing(Kind.FRAME, RUN, encode_header(header(0)), b"pixels")])
    plant.step(3)
    assert plant.verdicts() == []
    plant.pass_on(result(0))
    plant.step(2)
    assert decode_verdict(plant.verdicts()[0].body).cameras[0].judged == 1


def test_a_replay_never_ends_by_the_clock() -> None:
    plant = Plant()
    plant.begin(start(live=False), deadline_ms=0)
    plant.send(result(0))
    plant.step(4)
    assert plant.verdicts() == []


def test_a_class_on_one_side_raises_one_alarm() -> None:
    plant = Plant()
    plant.begin(start(cameras=("c1", "b1")))
    plant.send(result(0, scratch(0)), result(1, scratch(1)), result(0, scratch(0), "b1"))
    plant.step(2)
    alarms = [json.loads(published.event.json)["data"] for published in plant.line.alarms.since("", 10, 0)]
    assert [(alarm["label"], alarm["side"], alarm["frame"]) for alarm in alarms] == [
        ("scratches", "top", 0),
        ("scratches", "bottom", 0),
    ]


def test_what_belongs_nowhere_is_put_aside_with_the_reason() -> None:
    plant = Plant()
    plant.begin(start())
    plant.send(result(0))
    stranger = RunId("line1", "strip8", "run1")
    entries = [
        (Kind.RESULT, RUN, b"\xff\xff"),
        (Kind.END, RUN, b"\xff\xff"),
        (Kind.RESULT, stranger, encode_result(result(0, run=stranger))),
        (Kind.END, stranger, encode_end(end(1, run=stranger))),
        (Kind.RESULT, RUN, encode_result(result(0, run=stranger))),
        (Kind.FRAME, RUN, encode_header(header(1))),
    ]
    for number, (kind, run, body) in enumerate(entries):
        plant.line.source.publish([Outgoing(Kind.FRAME, RUN, encode_header(header(number)), b"pixels")])
        (frame,) = plant.line.frames.read("worker", 1, 0)
        plant.line.work.finish([Done(frame.id, kind, run, body)])
    plant.step(2)
    reasons = sorted(letter.reason for letter in plant.line.dead.page(10))
    assert len(reasons) == 6
    assert sum("neither open nor remembered" in reason for reason in reasons) == 2
    assert plant.line.results.backlog().waiting == 0


def test_results_that_a_dead_aggregator_held_are_taken_over() -> None:
    plant = Plant()
    plant.begin(start())
    plant.send(result(0), end(1))
    assert len(plant.line.results.read("dead", 10, 0)) == 3
    for _ in range(1_000):
        plant.aggregate._claim_at = 0.0
        plant.step()
        if plant.verdicts():
            break
    assert len(plant.verdicts()) == 1


def test_an_aggregator_that_dies_between_recording_and_closing_leaves_the_run_due() -> None:
    plant = Plant()
    plant.begin(start())
    plant.send(result(0), end(1))
    other = plant.another("dies")
    other.record(plant.line, plant.memo, plant.line.results.read("dies", 10, 0))
    assert plant.verdicts() == []
    plant.step()
    assert len(plant.verdicts()) == 1


def test_two_aggregators_close_a_run_once() -> None:
    plant = Plant()
    plant.begin(start())
    plant.send(result(0), end(1))
    first, second = plant.another("first"), plant.another("second")
    first.record(plant.line, plant.memo, plant.line.results.read("first", 10, 0))
    first.conclude(plant.line, plant.memo)
    second.conclude(plant.line, plant.memo)
    assert len(plant.verdicts()) == 1


def test_a_run_that_cannot_be_decided_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = Plant()
    other = RunId("line1", "strip8", "run1")
    plant.begin(start())
    plant.begin(start(other))
    plant.send(result(0), end(1), result(0, run=other), end(1, run=other))

    def refuses_one(state: object, *rest: object) -> object:
        if getattr(state, "run", None) == RUN:
            raise ValueError("a fault of ours")
        return decide(state, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(service, "decide", refuses_one)
    plant.step(3)
    assert [event.run for event in plant.verdicts()] == [other]
    monkeypatch.setattr(service, "decide", decide)
    plant.step(2)
    assert {event.run for event in plant.verdicts()} == {RUN, other}


def test_a_run_that_can_never_be_decided_gets_a_verdict_without_its_defects(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = Plant()
    plant.begin(start())
    plant.send(result(0, scratch(0)), result(1), end(2))

    def fails_on_defects(state: RunState, *rest: object) -> object:
        if state.flagged:
            raise ValueError("a fault of ours")
        return decide(state, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(service, "decide", fails_on_defects)
    plant.step(10)
    [event] = plant.verdicts()
    verdict = decode_verdict(event.body)
    assert (verdict.disposition.value, verdict.defects, verdict.cameras[0].judged) == ("review", (), 2)
    assert any("not listed" in reason for reason in verdict.reasons)


def test_a_result_that_ended_whoever_had_it_is_put_aside_and_its_mates_are_recorded() -> None:
    plant = Plant(claim_idle_seconds=0.0001)
    plant.begin(start())
    plant.step()
    plant.send(result(0), result(1), end(2))
    assert len(plant.line.results.read("dead", 10, 0)) == 3
    for _ in range(5):
        [poison] = plant.line.results.claim("dead too", 0, 1)  # the first of them, again and again
    plant.step(3)
    [letter] = plant.line.dead.page(10)
    assert (letter.entry.body, letter.reason) == (poison.body, "delivered 7 times without being recorded")
    state = plant.line.runs.state(RUN)
    assert state is not None
    assert (state.cameras["c1"].judged, bool(state.cameras["c1"].end)) == (b"\x40", True)


def test_a_stream_that_goes_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = Plant()
    plant.begin(start())
    plant.send(result(0), end(1))
    lifecycle = Lifecycle()
    aggregate = Aggregate(plant.stream, "line1", plant.settings, lifecycle, "waits")
    step, calls = aggregate.step, iter(range(10))

    def away_at_first(line: LineStream, memo: Memo) -> None:
        number = next(calls)
        if number < 2:
            raise StreamUnavailable("Redis does not answer")
        step(line, memo)
        if plant.verdicts():
            lifecycle.stop()

    monkeypatch.setattr(aggregate, "step", away_at_first)
    aggregate.run()
    assert len(plant.verdicts()) == 1


def test_a_fault_on_one_line_stops_all_and_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = Plant()
    lifecycle = Lifecycle()
    broken, sound = (Aggregate(plant.stream, name, plant.settings, lifecycle, "a") for name in ("line1", "line2"))

    def fails(line: LineStream, memo: Memo) -> None:
        raise LookupError("a fault of ours")

    monkeypatch.setattr(broken, "step", fails)
    with pytest.raises(LookupError, match="a fault of ours"):
        run_all([sound, broken], lifecycle)
    assert not lifecycle.running


def test_it_says_that_it_is_alive() -> None:
    plant = Plant()
    plant.step()
    assert plant.line.beats.alive() == {"aggregate": ["a"]}


def test_the_log_says_of_a_verdict_what_it_is_and_why() -> None:
    plant = Plant()
    plant.begin(start())
    plant.send(result(0), replace(result(1, scratch(1))), end(2))
    plant.step(2)
    assert service.summary(decode_verdict(plant.verdicts()[0].body)) == {
        "line": "line1",
        "strip": "strip7",
        "run": "run1",
        "disposition": "reject",
        "reason": "scratches: 1 defect on 0.04 m² (more than 5 a m² rejects)",
        "frames": 2,
        "lost": 0,
        "coverage": 100.0,
        "defects": 1,
    }
