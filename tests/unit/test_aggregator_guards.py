"""What keeps an aggregator honest when something is wrong: clocks, reasons, runs that cannot be decided."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from aggregator_cases import RUN, end, failed, pins, result, start
from stripwatch.domain.frame import IndexRange
from stripwatch.domain.result import FrameResult
from stripwatch.domain.verdict import Loss, LossReason
from stripwatch.ports import Done, Kind, Outgoing
from stripwatch.rpc.codec.frames import encode_end, encode_header, encode_start
from stripwatch.rpc.codec.results import encode_pins, encode_result
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.stream.memory import MemoryStream, runs
from stripwatch.stream.memory.line import MemoryLine
from stripwatch_aggregator import outcome, service
from stripwatch_aggregator.memo import Memo
from stripwatch_aggregator.service import Aggregate
from stripwatch_aggregator.settings import AggregatorSettings


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A line in memory and an aggregator that waits for nothing."""
    monkeypatch.setattr(service, "BLOCK_MS", 0)
    stream = MemoryStream()
    line = stream.line("line1")
    aggregate = Aggregate(stream, "line1", AggregatorSettings(), Lifecycle(), "a")
    memo = Memo(line.work)
    return SimpleNamespace(line=line, step=lambda: aggregate.step(line, memo))


def begin(line: MemoryLine, *, live: bool = True, deadline_ms: int = 60_000) -> None:
    body = encode_start(start(live=live))
    line.source.start_run(RUN, body, cameras=("c1",), live=live, deadline_ms=deadline_ms)
    line.work.pin(RUN, encode_pins(pins()))


def send(line: MemoryLine, *outcomes: FrameResult, frames: int | None = None) -> None:
    """Results as a worker passes them on, and the camera's end."""
    entries = [Outgoing(Kind.FRAME, RUN, encode_header(one.header), b"pixels") for one in outcomes]
    if frames is not None:
        entries.append(Outgoing(Kind.END, RUN, encode_end(end(frames))))
    line.source.publish(entries)
    bodies = iter(outcomes)
    for entry in line.frames.read("worker", 100, 0):
        told = (Kind.RESULT, encode_result(next(bodies))) if entry.kind is Kind.FRAME else (entry.kind, entry.body)
        line.work.finish([Done(entry.id, told[0], RUN, told[1])])


def test_a_clock_put_forward_is_no_idle_time(plant: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(plant.line)
    send(plant.line, result(0))
    plant.step()
    now = runs.now_ms
    monkeypatch.setattr(runs, "now_ms", lambda: now() + 3_600_000)
    assert plant.line.runs.due(10) == [RUN]
    assert plant.line.runs.state(RUN).idle_ms >= 3_600_000
    for _ in range(3):
        plant.step()
    assert plant.line.verdicts.since("", 10, 0) == []
    assert plant.line.runs.due(10) == []


def test_why_a_frame_failed_stands_in_the_verdict(plant: SimpleNamespace) -> None:
    begin(plant.line)
    send(plant.line, result(0), failed(1, "not a PNG"), failed(2, ""), failed(3, "x" * 1_000), frames=4)
    plant.step()
    (camera,) = decode_verdict(plant.line.verdicts.of(RUN).event.body).cameras
    reasons = ("not a PNG", "no reason was given", "x" * outcome.REASON_CHARS)
    assert camera.lost == tuple(
        Loss(IndexRange(at, at), LossReason.FAILED, why) for at, why in enumerate(reasons, start=1)
    )


def test_a_run_that_cannot_be_decided_is_left_alone_for_a_while(
    plant: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise ValueError("an undecidable run")

    begin(plant.line)
    send(plant.line, result(0), frames=1)
    with monkeypatch.context() as broken:
        broken.setattr(service, "decide", refuses)
        plant.step()
    assert plant.line.runs.open_runs() == [RUN]
    assert plant.line.runs.due(10) == []
