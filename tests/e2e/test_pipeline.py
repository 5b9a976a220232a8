"""The whole pipeline over real processes, a real Redis and real gRPC."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from redis_servers import binaries

from e2e_parts import SERIES, Start, judged, until
from stripwatch.domain.frame import RunId
from stripwatch.domain.verdict import StripVerdict
from stripwatch.local import EmbeddedRedis, Pipeline
from stripwatch.local.child import Child
from stripwatch.local.feeds import folder_settings, simulator_settings
from stripwatch.local.replay import replay
from stripwatch.ports import LineStream
from stripwatch.recipes import default_folders
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.simulate.series import StripSeries
from stripwatch.testing.golden import IGNORED, compare_all

QUICK_TAKEOVER = {"STRIPWATCH_CLAIM_IDLE_SECONDS": "1"}


def verdicts_of(line: LineStream) -> list[StripVerdict]:
    return [decode_verdict(one.event.body) for one in line.verdicts.since("0", 100, 0)]


def lost(verdict: StripVerdict) -> int:
    return sum(camera.expected - camera.judged for camera in verdict.cameras)


def stopped_with_frames_in_hand(worker: Child, line: LineStream) -> bool:
    worker.send(signal.SIGSTOP)
    if line.frames.backlog().pending:
        return True
    worker.send(signal.SIGCONT)
    return False


def without(path: str, value: Any) -> Any:
    """The value without what may differ."""
    if not isinstance(value, dict):
        return value
    return {key: without(f"{path}.{key}", part) for key, part in value.items() if f"{path}.{key}" not in IGNORED}


def test_a_strip_goes_in_and_one_verdict_comes_out_with_its_defects_in_place(start: Start, bright_strip: Path) -> None:
    pipeline = start()
    pipeline.finish(pipeline.feed(folder_settings(bright_strip, "coil-7", "r1")), 60.0)
    pipeline.settle()
    (verdict,) = verdicts_of(pipeline.line())
    assert verdict.run == RunId("line1", "coil-7", "r1")
    assert lost(verdict) == 0
    assert not verdict.partial
    found = {(one.label, one.box.x_mm, one.box.y_mm) for one in verdict.defects if one.label == "scratches"}
    assert found == {("scratches", 300.0, 100.0), ("scratches", 700.0, 200.0)}


@pytest.mark.parametrize("server", binaries().values(), ids=[f"Redis {major}" for major in binaries()])
def test_every_strip_gets_one_verdict_and_no_frame_is_lost(start: Start, tmp_path: Path, server: str) -> None:
    with EmbeddedRedis(tmp_path / "redis", server=server) as redis:
        pipeline = start(workers=2, redis_url=redis.url)
        four_strips(pipeline)
        pipeline.stop()


def four_strips(pipeline: Pipeline) -> None:
    pipeline.finish(pipeline.feed(simulator_settings(SERIES, 4, "r1")), 60.0)
    pipeline.settle()
    found = verdicts_of(pipeline.line())
    assert sorted(one.run.strip for one in found) == [SERIES.strip(number) for number in range(4)]
    assert [lost(one) for one in found] == [0, 0, 0, 0]
    line = pipeline.line()
    assert (line.frames.backlog().waiting, line.results.backlog().waiting, line.dead.page(10)) == (0, 0, [])


def test_a_worker_and_the_aggregator_killed_in_mid_strip_leave_one_complete_verdict(start: Start) -> None:
    pipeline = start(settings=QUICK_TAKEOVER)
    line = pipeline.line()
    worker = pipeline.supervisor.children["preprocess-1"]
    series = StripSeries(3_100_000, 8_000.0, 400.0, 0.5, defects=(2,))
    run = RunId("line1", series.strip(0), "r1")
    feed = pipeline.feed(simulator_settings(series, 1, "r1", speed=2.0))
    until(lambda: judged(line, run) >= 15, "frames judged")
    until(lambda: stopped_with_frames_in_hand(worker, line), "a worker caught at work")
    pipeline.kill("preprocess-1")
    pipeline.kill("aggregator")
    assert line.frames.backlog().pending > 0
    assert line.verdicts.of(run) is None
    pipeline.restart("preprocess-1")
    pipeline.restart("aggregator")
    pipeline.finish(feed, 60.0)
    pipeline.settle()
    (verdict,) = verdicts_of(line)
    assert verdict.run == run
    assert lost(verdict) == 0
    assert not verdict.partial
    assert all(camera.ended for camera in verdict.cameras)


def test_a_killed_service_is_back_without_anybodys_help(start: Start) -> None:
    pipeline = start(settings=QUICK_TAKEOVER)
    pipeline.supervisor.children["classifier-1"].kill()
    feed = pipeline.feed(simulator_settings(SERIES, 1, "r1"))
    pipeline.finish(feed, 60.0)
    verdict = decode_verdict(pipeline.verdict(RunId("line1", SERIES.strip(0), "r1"), 60.0).event.body)
    assert lost(verdict) == 0
    assert pipeline.supervisor.restarts == 1


@pytest.mark.parametrize(
    ("workers", "settings"),
    [(1, {}), (3, {"STRIPWATCH_BATCH_TILES": "5", "STRIPWATCH_PREFETCH": "3", "STRIPWATCH_MAX_BATCH": "7"})],
    ids=["1 worker", "3 workers and other batches"],
)
def test_a_recording_replayed_gives_the_same_verdicts(
    start: Start, recording: Path, workers: int, settings: dict[str, str]
) -> None:
    first, second = start(), start(workers, settings)
    expected = replay(first, recording)
    assert len(expected) == 3
    assert any(verdict["data"]["defects"] for verdict in expected)
    for got in (replay(second, recording), replay(second, recording)):
        assert compare_all(expected, got) is None
        assert json.dumps([without("$", one) for one in got]) == json.dumps([without("$", one) for one in expected])


def test_a_wrong_parameter_fails_the_golden_gate(start: Start, recording: Path, tmp_path: Path) -> None:
    expected = replay(start(), recording)
    text = (default_folders()[0] / "hot-rolled.yaml").read_text(encoding="utf-8")
    assert "tile_px: 200, stride_px: 200" in text
    (tmp_path / "hot-rolled.yaml").write_text(
        text.replace("tile_px: 200, stride_px: 200", "tile_px: 180, stride_px: 90")
    )
    wrong: Pipeline = start(settings={"STRIPWATCH_RECIPES": str(tmp_path)})
    difference = compare_all(expected, replay(wrong, recording))
    assert difference is not None
    assert difference.path.startswith("$[0].data.")
