"""`No defect` and `inspector stopped` look different to whoever waits for verdicts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis

from aggregator_process import Aggregator, aggregator, feed, until
from chaos.proxy import FaultProxy, Faults
from stripwatch.local import EmbeddedRedis, Pipeline
from stripwatch.local.feeds import simulator_settings
from stripwatch.ports import LineState, LineStream
from stripwatch.rpc.v1 import verdict_pb2 as pb
from stripwatch.rpc.v1 import verdict_pb2_grpc
from stripwatch.simulate.series import StripSeries
from stripwatch.stream import connect
from tiny_models import write_pair

LIVE = StripSeries(3_000_000, 500.0, 400.0, 0.5, defects=(0,))


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server.url


def alive(status: pb.LineStatus) -> dict[str, int]:
    return {stage.name: stage.alive for stage in status.stages}


def until_beat(watch: Any, met: Callable[[pb.LineStatus], bool]) -> pb.LineStatus:
    """The first heartbeat that is as awaited; the call's own deadline ends a wait in vain."""
    for answer in watch:
        if answer.HasField("status") and met(answer.status):
            return pb.LineStatus.FromString(answer.status.SerializeToString())
    raise AssertionError("the call ended")


def beat_all(line: LineStream) -> None:
    for stage in ("ingest", "preprocess"):
        line.beats.beat(stage, "test", 60_000)


def test_a_heartbeat_says_that_the_worker_is_dead_that_it_is_back_and_that_the_line_is_held(tmp_path: Path) -> None:
    write_pair(tmp_path / "models")
    with Pipeline(tmp_path / "redis", env={"STRIPWATCH_MODELS": str(tmp_path / "models")}) as pipeline:
        stub = verdict_pb2_grpc.VerdictsStub(grpc.insecure_channel(pipeline.verdicts_address))
        nothing_fed = stub.Status(pb.StatusRequest(line="line1"), timeout=10).status
        assert not nothing_fed.inspecting
        assert list(nothing_fed.obstacles) == ["no ingest was heard of"]

        feed = pipeline.feed({**simulator_settings(LIVE, 1000, "r1", speed=0.5), "STRIPWATCH_LIVE": "true"})
        watch = stub.Watch(pb.WatchRequest(line="line1", heartbeat_seconds=1), timeout=240)
        well = until_beat(watch, lambda status: status.inspecting)
        assert alive(well) == {"ingest": 1, "preprocess": 1, "aggregate": 1}
        assert (list(well.obstacles), well.state) == ([], pb.LINE_STATE_RUNNING)
        until_beat(watch, lambda status: status.open_runs == 1)

        pipeline.kill("preprocess-1")
        dead = until_beat(watch, lambda status: not status.inspecting)
        assert alive(dead)["preprocess"] == 0
        assert "no preprocess was heard of" in dead.obstacles
        until_beat(watch, lambda status: status.frames_waiting > 0 and status.oldest_frame_ms > 0)
        asked = stub.Status(pb.StatusRequest(line="line1"), timeout=10).status
        assert (asked.line, asked.inspecting, alive(asked)["preprocess"]) == ("line1", False, 0)

        pipeline.restart("preprocess-1")
        until_beat(watch, lambda status: status.inspecting and status.at_ns > dead.at_ns)

        pipeline.line().source.set_state(LineState.PAUSED)
        held = until_beat(watch, lambda status: status.state == pb.LINE_STATE_PAUSED)
        assert (held.inspecting, list(held.obstacles)) == (False, ["it is paused"])
        pipeline.line().source.set_state(LineState.RUNNING)
        until_beat(watch, lambda status: status.inspecting)
        assert feed.running


def test_frames_that_nobody_takes_for_long_are_an_obstacle_though_everybody_is_alive(url: str) -> None:
    line = connect(url).line("line1")
    with aggregator(url) as one:
        beat_all(line)
        watch = one.watch(heartbeat_seconds=1)
        until_beat(watch, lambda status: status.inspecting)
        redis.Redis.from_url(url).xadd("sw:{line1}:frames", {"k": "frame", "r": "s:r", "b": ""}, id="1000-0")
        stuck = until_beat(watch, lambda status: not status.inspecting)
    assert (stuck.frames_waiting, len(stuck.obstacles)) == (1, 1)
    assert stuck.obstacles[0].startswith("frames have waited for ")
    assert stuck.oldest_frame_ms > 60_000


def test_heartbeats_come_at_once_and_between_verdicts_with_the_cursor_so_far(url: str) -> None:
    line = connect(url).line("line1")
    with aggregator(url) as one:
        feed(line, "strip1")
        watch = one.watch(heartbeat_seconds=1)
        first = next(watch)
        assert (first.cursor, first.HasField("status"), first.HasField("verdict"), first.event) == (
            "",
            True,
            False,
            b"",
        )
        kinds = []
        for answer in watch:
            kinds.append("verdict" if answer.HasField("verdict") else "beat")
            if kinds.count("verdict") == 1 and kinds[-1] == "beat":
                assert answer.cursor == line.verdicts.latest()
                break
        feed(line, "strip2")
        resumed = one.watch(answer.cursor)
        assert next(resumed).verdict.run.strip == "strip2"  # nothing but verdicts for who asks for no heartbeat


def test_a_period_out_of_bounds_and_a_line_of_others_are_refused(url: str) -> None:
    with aggregator(url) as one:
        with pytest.raises(grpc.RpcError) as refused:
            next(one.watch(heartbeat_seconds=3601))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.value.details() == "heartbeat_seconds: expected 0 (none) to 3600, got 3601"
        with pytest.raises(grpc.RpcError) as unknown:
            one.stub().Status(pb.StatusRequest(line="line9"), timeout=10)
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
@pytest.mark.parametrize("heartbeat_seconds", [0, 1], ids=["without heartbeats", "with heartbeats"])
def test_a_watch_whose_redis_is_gone_ends_as_unavailable_and_is_never_just_quiet(
    tmp_path: Path, how: signal.Signals, heartbeat_seconds: int
) -> None:
    server = EmbeddedRedis(tmp_path / "redis")
    with server, aggregator(server.url, REDIS_TIMEOUT_SECONDS="1") as one:
        process = redis.Redis.from_url(server.url).info("server")["process_id"]
        feed(connect(server.url).line("line1"), "strip1")
        watch = one.watch(heartbeat_seconds=heartbeat_seconds)
        while not next(watch).HasField("verdict"):
            pass
        os.kill(process, how)
        try:
            with pytest.raises(grpc.RpcError) as gone:
                for _ in watch:
                    pass
            assert gone.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "Redis at" in str(gone.value.details())
            with pytest.raises(grpc.RpcError) as asked:
                one.stub().Status(pb.StatusRequest(line="line1"), timeout=30)
            assert asked.value.code() is grpc.StatusCode.UNAVAILABLE
        finally:
            if how is signal.SIGSTOP:
                os.kill(process, signal.SIGCONT)


def test_a_watcher_whose_connection_died_without_a_word_makes_room_for_another(url: str) -> None:
    """Before, it kept its place for 80 s: gRPC bounds a ping by a setting of its own, not by the keepalive's."""
    with aggregator(url, MAX_WATCHERS="1") as one, FaultProxy(int(one.address.rpartition(":")[2])) as proxy:
        stub = verdict_pb2_grpc.VerdictsStub(grpc.insecure_channel(f"127.0.0.1:{proxy.port}"))
        watch = stub.Watch(pb.WatchRequest(line="line1", heartbeat_seconds=1), timeout=300)
        next(watch)
        proxy.set(Faults(half_open=True))

        def served() -> bool:
            try:
                return next(one.watch(heartbeat_seconds=1)).HasField("status")
            except grpc.RpcError as refused:
                codes.add(refused.code())
                return False

        codes: set[grpc.StatusCode] = set()
        until(served, "the dead one's place", 60)
        assert codes == {grpc.StatusCode.RESOURCE_EXHAUSTED}


class Following:
    """`stripwatch verdicts --follow`, and what it says on standard error."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", "stripwatch.cli", "verdicts", "--follow", "--redis", url, "--line", "line1"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.said: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr
        for text in self.process.stderr:
            self.said.append(text.strip())

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def test_following_verdicts_says_when_nobody_inspects_and_when_somebody_does_again(url: str) -> None:
    line = connect(url).line("line1")
    with Following(url) as following:
        until(lambda: len(following.said) == 1, "the first word", 60)
        line.beats.beat("preprocess", "w1", 60_000)
        line.beats.beat("aggregate", "a1", 4_000)
        until(lambda: len(following.said) == 3, "the word that it is so again", 60)
        following.process.send_signal(signal.SIGTERM)
        assert following.process.wait(30) == 0
    assert following.said == [
        "warning: line line1 is not inspected: no preprocess was heard of, no aggregate was heard of",
        "line line1 is inspected again",
        "warning: line line1 is not inspected: no aggregate was heard of",
    ]


def test_following_verdicts_ends_with_a_word_when_redis_goes(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "redis")
    with server, Following(server.url) as following:
        until(lambda: bool(following.said), "the first word", 60)
        os.kill(redis.Redis.from_url(server.url).info("server")["process_id"], signal.SIGKILL)
        assert following.process.wait(30) == 1
        until(lambda: "does not answer" in following.said[-1], "the last word")


def test_an_aggregator_that_is_stopped_ends_a_watch_with_heartbeats(url: str) -> None:
    one: Aggregator
    with aggregator(url) as one:
        watch = one.watch(heartbeat_seconds=3600)
        assert next(watch).HasField("status")
        assert one.end() == 0
        with pytest.raises(grpc.RpcError) as gone:
            next(watch)
        assert gone.value.code() is grpc.StatusCode.UNAVAILABLE
