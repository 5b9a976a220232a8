"""A source's hold on its line, the pace of frames, and the names of runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from stripwatch.domain.frame import RunId
from stripwatch.domain.names import check_name
from stripwatch.errors import BadInput, Conflict, StreamUnavailable
from stripwatch.feed import FeedRules, Hold, Pace, by_capture_time, by_line_speed, new_run_id, owner_name, safe_name
from stripwatch.stream.memory import MemoryStream
from unit.feeding import Clock, frame, troubled


def test_a_replay_cannot_have_a_line_that_a_live_source_holds() -> None:
    line = MemoryStream().line("line1")
    with Hold(line, "camera", live=True, stage="ingest"):
        with pytest.raises(Conflict, match="line line1: a live source has it"):
            Hold(line, "replay", live=False, stage="replay").__enter__()
        with Hold(line, "camera2", live=True, stage="ingest"):
            assert line.beats.alive() == {"ingest": ["camera", "camera2"]}
    with Hold(line, "replay", live=False, stage="replay"), pytest.raises(Conflict, match="a replay source has it"):
        Hold(line, "camera", live=True, stage="ingest").__enter__()


def test_a_source_that_begins_while_the_stream_is_away_waits_for_it_as_long_as_it_may() -> None:
    """Found by chaos seed 35 on a cluster: an ingest ended for a Redis that was silent just when it took its line."""
    line = MemoryStream().line("line1")
    source = troubled(line)
    source.trouble = StreamUnavailable("away")
    waits: list[float] = []

    def patient(wait: float) -> bool:
        waits.append(wait)
        if len(waits) == 3:
            source.trouble = None
        return True

    with Hold(line, "camera", live=True, stage="ingest", patient=patient):
        assert line.beats.alive() == {"ingest": ["camera"]}
    assert len(waits) == 3
    source.trouble = StreamUnavailable("away")
    with pytest.raises(StreamUnavailable):
        Hold(line, "camera", live=True, stage="ingest", patient=lambda _: False).__enter__()


def test_a_hold_is_renewed_while_its_source_lives() -> None:
    line = MemoryStream().line("line1")
    renewals = []
    take = line.source.hold
    line.source.hold = lambda owner, *, live, ttl_ms: (renewals.append(owner), take(owner, live=live, ttl_ms=ttl_ms))  # type: ignore[method-assign]
    with Hold(line, "camera", live=True, stage="ingest", ttl_ms=60) as hold:
        for _ in range(200):
            if len(renewals) > 3:
                break
            hold._done.wait(0.01)
        hold.check()
    assert len(renewals) > 3


def test_a_source_that_lost_its_line_is_told() -> None:
    line = MemoryStream().line("line1")
    with Hold(line, "camera", live=True, stage="ingest", ttl_ms=60) as hold:
        line.source.release("camera")
        line.source.hold("thief", live=False, ttl_ms=60_000)
        hold._thread.join(5)
        with pytest.raises(Conflict, match="thief"):
            hold.check()


def test_frames_are_due_as_the_strip_brings_them_and_waits_do_not_drift() -> None:
    clock = Clock()
    pace = Pace(by_line_speed(10.0), clock)  # frames lie 100 mm apart: one every 10 ms
    assert pace.wait_s(frame(0).header) == 0
    clock.now += 0.004
    assert pace.wait_s(frame(1).header) == pytest.approx(0.006)
    clock.now += 0.011  # overslept by 5 ms
    assert pace.wait_s(frame(2).header) == pytest.approx(0.005)
    clock.now += 0.2
    assert pace.wait_s(frame(3).header) == 0
    assert pace.wait_s(frame(100).header) == pytest.approx(1.0 - 0.215)


def test_a_source_that_was_held_up_goes_on_from_there() -> None:
    clock = Clock()
    pace = Pace(by_line_speed(10.0), clock)
    pace.wait_s(frame(0).header)
    clock.now += 60
    assert pace.wait_s(frame(1).header) == 0
    assert pace.wait_s(frame(2).header) == pytest.approx(0.01)


def test_each_run_has_its_own_schedule() -> None:
    clock = Clock()
    pace = Pace(by_line_speed(10.0), clock)
    pace.wait_s(frame(0).header)
    clock.now += 500
    other = replace(frame(0).header, run=RunId("line1", "s2", "r1"))
    assert pace.wait_s(other) == 0
    assert pace.wait_s(replace(other, index=1, x_mm=100.0)) == pytest.approx(0.01)


@pytest.mark.parametrize(("factor", "wait"), [(1.0, 0.01), (4.0, 0.0025)])
def test_a_recording_keeps_its_own_pace_or_a_multiple_of_it(factor: float, wait: float) -> None:
    pace = Pace(by_capture_time(factor), Clock())
    pace.wait_s(frame(0).header)
    assert pace.wait_s(frame(1).header) == pytest.approx(wait, abs=1e-6)


def test_flat_out_nothing_waits() -> None:
    pace = Pace(clock=Clock())
    assert [pace.wait_s(one.header) for one in (frame(0), frame(9))] == [0, 0]
    with pytest.raises(BadInput, match="line speed"):
        by_line_speed(0)
    with pytest.raises(BadInput, match="pace factor"):
        by_capture_time(-1)


@pytest.mark.parametrize(
    ("budget", "limit", "ceiling"), [(0, 0, 0), (100, 0, 100), (0, 1000, 600), (100, 1000, 100), (900, 1000, 600)]
)
def test_the_budget_is_the_smaller_of_the_setting_and_60_percent_of_the_limit(
    budget: int, limit: int, ceiling: int
) -> None:
    assert FeedRules(live=True, budget_bytes=budget).ceiling(limit) == ceiling


def test_run_ids_sort_by_time_and_do_not_repeat() -> None:
    at = datetime(2026, 11, 24, 2, 15, tzinfo=UTC)
    ids = {new_run_id(at) for _ in range(50)}
    assert len(ids) == 50
    assert all(one.startswith("20261124T021500-") and check_name("run", one) for one in ids)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("coil 4711", "coil-4711"),
        ("../etc", "etc"),
        ("Bänder", "B-nder"),
        ("", "strip"),
        ("...", "strip"),
        ("a" * 99, "a" * 64),
    ],
)
def test_any_text_becomes_a_safe_name(text: str, name: str) -> None:
    assert check_name("strip", safe_name(text)) == name


def test_owners_are_safe_and_different() -> None:
    assert owner_name() != owner_name()
    check_name("owner", owner_name())
