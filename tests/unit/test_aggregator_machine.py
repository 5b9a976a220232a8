"""Any order, repeats, failures and crashes between two calls of the stream: one verdict a run, and always the same."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis_servers import binaries, server

from aggregator_cases import end, failed, pins, result, scratch, start, state
from stripwatch.domain.frame import IndexRange, RunId
from stripwatch.domain.result import FrameResult, Outcome
from stripwatch.domain.strip import CameraEnd, Shed
from stripwatch.domain.verdict import StripVerdict
from stripwatch.ports import Done, Kind, LineStream, Outgoing, Record, Recorded, Stream
from stripwatch.rpc.codec.frames import decode_end, encode_end, encode_header, encode_start
from stripwatch.rpc.codec.results import encode_pins, encode_result
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.stream import connect
from stripwatch.stream.memory import MemoryStream
from stripwatch_aggregator import service
from stripwatch_aggregator.account import account
from stripwatch_aggregator.decide import decide
from stripwatch_aggregator.memo import Memo
from stripwatch_aggregator.service import Aggregate
from stripwatch_aggregator.settings import AggregatorSettings

LINES = (f"agg{number}" for number in itertools.count())
CAMERAS = ("c1", "c2")
FRAMES = 5
SHED = {"c1": (), "c2": (Shed(IndexRange(1, 2), "stream full"),)}
"""What each camera's end declares as not sent."""
SCRATCHED = {("c1", 1), ("c1", 2), ("c2", 4)}
SENT = [
    (camera, index) for camera in CAMERAS for index in range(FRAMES) if (camera, index) not in {("c2", 1), ("c2", 2)}
]


class Crash(BaseException):
    """The process is gone: nothing in it may catch this."""


@dataclass
class Fuse:
    """Lets so many calls through; the next one is the process' last, before or after the server has done it."""

    left: int | None = None
    after: bool = False

    def call(self, method: Callable[..., Any], *args: Any, **named: Any) -> Any:
        if self.left is None:
            return method(*args, **named)
        self.left -= 1
        if self.left >= 0:
            return method(*args, **named)
        if self.after:
            method(*args, **named)
        raise Crash


@dataclass
class Diary:
    """What was recorded before its run was closed, in the order in which the stream took it; and how much was late."""

    outcomes: list[tuple[RunId, str, int, str]] = field(default_factory=list)
    ends: list[tuple[RunId, CameraEnd]] = field(default_factory=list)

    def records(self, records: list[Record], answers: list[Recorded]) -> None:
        for one, answer in zip(records, answers, strict=True):
            if answer in (Recorded.NEW, Recorded.REPEAT):
                self.outcomes.append((one.run, one.camera, one.index, one.failure))


class Watched:
    """A line, or one of its ports: every call goes past the fuse and what it recorded into the diary."""

    def __init__(self, inner: Any, fuse: Fuse, diary: Diary) -> None:
        self._inner = inner
        self._fuse = fuse
        self._diary = diary

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found if isinstance(found, str) else Watched(found, self._fuse, self._diary)
        if name == "record":
            return lambda *args, **named: self._fuse.call(self._record, *args, **named)
        if name == "record_end":
            return lambda *args, **named: self._fuse.call(self._record_end, *args, **named)
        return lambda *args, **named: self._fuse.call(found, *args, **named)

    def _record(self, records: list[Record], *more: Any, **named: Any) -> list[Recorded]:
        answers: list[Recorded] = self._inner.record(records, *more, **named)
        self._diary.records(records, answers)
        return answers

    def _record_end(self, entry_id: str, run: RunId, camera: str, body: bytes, *more: Any) -> Recorded:
        answer: Recorded = self._inner.record_end(entry_id, run, camera, body, *more)
        if answer is Recorded.NEW:
            self._diary.ends.append((run, decode_end(body)))
        return answer


class AggregatorMachine(RuleBasedStateMachine):
    """Two aggregators on one line, one of which may die at any call; a source and workers in any order."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self.stream = stream
        self.line: LineStream = stream.line(next(LINES))
        self.diary = Diary()
        self.numbers = itertools.count()
        self.settings = AggregatorSettings(claim_idle_seconds=0.001, batch=3)
        self.aggregators = [self.another(), self.another()]
        self.runs = [RunId(self.line.line, "coil", "first"), RunId(self.line.line, "coil", "again")]
        self.live = False

    def another(self) -> tuple[Aggregate, LineStream, Memo, Fuse]:
        fuse = Fuse()
        watched: Any = Watched(self.line, fuse, self.diary)
        name = f"aggregator-{next(self.numbers)}"
        one = Aggregate(self.stream, self.line.line, self.settings, Lifecycle(), name)
        return one, watched, Memo(watched.work), fuse

    @initialize(live=st.booleans())
    def begin(self, live: bool) -> None:
        """Both passes of the strip; a live one here is due as soon as nothing of it is under way."""
        self.live = live
        for run in self.runs:
            body = encode_start(start(run, CAMERAS, live=live))
            self.line.source.start_run(run, body, cameras=CAMERAS, live=live, deadline_ms=0 if live else 60_000)
            self.line.work.pin(run, encode_pins(pins()))

    def judge(self, body: FrameResult | CameraEnd) -> None:
        """The frame or the end goes in, and what waits of it through a worker's hands."""
        if isinstance(body, CameraEnd):
            self.line.source.publish([Outgoing(Kind.END, body.run, encode_end(body))])
        else:
            frame = Outgoing(Kind.FRAME, body.header.run, encode_header(body.header), b"pixels")
            self.line.source.publish([frame])
        for entry in self.line.frames.read("worker", 100, 0):
            told = encode_result(body) if isinstance(body, FrameResult) else entry.body
            done = (Kind.RESULT, told) if entry.kind is Kind.FRAME else (entry.kind, entry.body)
            self.line.work.finish([Done(entry.id, done[0], entry.run, done[1])])

    @rule(run=st.sampled_from([0, 1]), frame=st.sampled_from(SENT), fails=st.booleans(), times=st.integers(1, 2))
    def outcome(self, run: int, frame: tuple[str, int], fails: bool, times: int) -> None:
        """A frame's result; the same again is what a worker that lost its frame to another makes of it."""
        for _ in range(times):
            self.judge(self.result(self.runs[run], *frame, "too dark" if fails else ""))

    def result(self, run: RunId, camera: str, index: int, failure: str) -> FrameResult:
        if failure:
            return failed(index, failure, camera, run)
        return result(index, scratch(index) if (camera, index) in SCRATCHED else None, camera, run)

    @rule(run=st.sampled_from([0, 1]), camera=st.sampled_from(CAMERAS))
    def camera_ends(self, run: int, camera: str) -> None:
        self.judge(end(FRAMES, camera, SHED[camera], self.runs[run]))

    @rule(run=st.sampled_from([0, 1]), fails=st.sampled_from([None, *SENT]))
    def whole_camera(self, run: int, fails: tuple[str, int] | None) -> None:
        """All of a run at once, so that most sequences come to a verdict in their middle."""
        for camera, index in SENT:
            self.judge(self.result(self.runs[run], camera, index, "too dark" if (camera, index) == fails else ""))
        for camera in CAMERAS:
            self.camera_ends(run, camera)

    @rule(who=st.sampled_from([0, 1]), calls=st.integers(0, 25) | st.none(), after=st.booleans())
    def step(self, who: int, calls: int | None, after: bool) -> None:
        """One round of one aggregator, which dies at a call of the stream; another takes its place."""
        one, line, memo, fuse = self.aggregators[who]
        fuse.left, fuse.after = calls, after
        try:
            one.step(line, memo)
        except Crash:
            self.aggregators[who] = self.another()
        else:
            fuse.left = None

    def verdicts(self) -> dict[RunId, StripVerdict]:
        found: dict[RunId, StripVerdict] = {}
        for published in self.line.verdicts.since("", 100, 0):
            assert published.event.run not in found, "a run has two verdicts"
            found[published.event.run] = decode_verdict(published.event.body)
        return found

    @invariant()
    def every_verdict_is_what_its_outcomes_make_of_it(self) -> None:
        for run, verdict in self.verdicts().items():
            for one in verdict.cameras:
                assert one.expected == one.judged + sum(len(loss.frames) for loss in one.lost)
            results = [
                self.result(run, camera, index, failure)
                for of, camera, index, failure in self.diary.outcomes
                if of == run
            ]
            ends = [one for of, one in self.diary.ends if of == run]
            known = state(sorted(results, key=_canonical), ends, start(run, CAMERAS, live=self.live))
            assert verdict == decide(known, account(known), verdict.decided_at_ns)

    def teardown(self) -> None:
        """What is still missing comes; then nothing waits, and each run has its verdict."""
        for run in self.line.runs.open_runs():
            self.whole_camera(self.runs.index(run), None)
        limit = time.monotonic() + 30
        while self.line.runs.open_runs() or self.line.results.backlog().waiting:
            assert time.monotonic() < limit, "a run without an end"
            for one, line, memo, _ in self.aggregators:
                one.step(line, memo)
            time.sleep(0.001)  # the entries of the dead are claimed by their idle time
        self.every_verdict_is_what_its_outcomes_make_of_it()
        assert set(self.verdicts()) == set(self.runs)
        assert self.line.dead.page(10) == []


def _canonical(one: FrameResult) -> tuple[bool, str, int]:
    return one.outcome is Outcome.FAILED, one.header.camera, one.header.index


@pytest.fixture(params=["memory", "redis-7", "redis-8"])
def stream(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stream]:
    if request.param == "memory":
        yield MemoryStream()
        return
    binary = binaries().get(request.param.removeprefix("redis-"))
    if binary is None:
        pytest.skip(f"no {request.param} server here")
    with server(binary, tmp_path) as port:
        yield connect(f"redis://127.0.0.1:{port}")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BLOCK_MS", "LOOK_AGAIN_MS", "LOST_AGAIN_MS"):
        monkeypatch.setattr(service, name, 0, raising=False)


def test_whatever_happens_each_run_gets_one_verdict_of_what_was_recorded(stream: Stream) -> None:
    run_state_machine_as_test(
        lambda: AggregatorMachine(stream),
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
