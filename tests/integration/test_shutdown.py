"""The end of every service as a process: it says so first, answers while others notice, and finishes its work."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import grpc
import pytest
import redis
from redis_servers import free_port, wait_for

from aggregator_process import SERVICE, aggregator, feed
from model_services import ModelService, served
from preprocess_process import Results, line_on_redis, send, service, start, worker_settings
from stripwatch.domain.recipe import Role
from stripwatch.ports import LineStream
from stripwatch.rpc.client import RemoteScorer
from stripwatch.rpc.health import NOT_SERVING, SERVING, status
from stripwatch.rpc.v1 import verdict_pb2 as pb
from tiny_models import grey_tiles, write_model

LONG_S = 60.0
FOR_EVER = 100
"""A delay that no test waits for: a second signal ends it."""


@pytest.fixture
def line(tmp_path: Path) -> Iterator[LineStream]:
    with line_on_redis(tmp_path) as found:
        yield found


def says(port: int, word: str) -> None:
    wait_for(lambda: status(f"127.0.0.1:{port}", 1.0) == word, word, LONG_S)


def ended(process: subprocess.Popen[str]) -> int:
    _, errors = process.communicate(timeout=LONG_S)
    assert "Traceback" not in errors
    return process.returncode


def test_a_model_service_says_that_it_ends_and_answers_until_its_delay_is_over(tmp_path: Path) -> None:
    write_model(tmp_path)
    port = free_port()
    settings = {"models": tmp_path, "health_port": port, "shutdown_delay_seconds": FOR_EVER}
    with (
        service("classifier", **settings) as process,
        closing(RemoteScorer(Role.CLASSIFIER, f"127.0.0.1:{port}")) as one,
    ):
        says(port, SERVING)
        process.send_signal(signal.SIGTERM)
        says(port, NOT_SERVING)
        spec = one.describe("steel", LONG_S)
        assert one.submit(spec, grey_tiles([0, 255]), LONG_S).result().shape == (2, 2)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert ended(process) == 128 + signal.SIGTERM
    with service("classifier", **settings | {"shutdown_delay_seconds": 0.5}) as process:
        says(port, SERVING)
        process.send_signal(signal.SIGTERM)
        assert ended(process) == 0


def test_watchers_of_verdicts_are_let_go_after_the_delay_and_told_why(line: LineStream, tmp_path: Path) -> None:
    url = (tmp_path / "url").read_text()
    feed(line, "strip1")
    with aggregator(url, SHUTDOWN_DELAY_SECONDS=str(FOR_EVER)) as one:
        watch = one.watch(heartbeat_seconds=1)
        wait_for(lambda: next(watch).HasField("verdict"), "the verdict", LONG_S)
        one.process.send_signal(signal.SIGTERM)
        wait_for(lambda: status(one.address, 1.0, SERVICE) == NOT_SERVING, "NOT_SERVING", LONG_S)
        assert one.stub().Get(pb.GetRequest(run={"line": "line1", "strip": "strip1", "run": "run1"})).verdict
        assert next(watch).HasField("status")
        one.process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError) as refusal:
            list(watch)
        assert isinstance(refusal.value, grpc.Call)
        assert refusal.value.details() == "the aggregator is shutting down; resume with the last cursor"


def test_a_worker_that_drains_says_so_and_finishes_what_is_at_the_model(line: LineStream, tmp_path: Path) -> None:
    classifier, results = ModelService(), Results(line)
    classifier.hold.clear()
    start(line)
    send(line, 0, 4)
    settings = worker_settings(tmp_path, free_port()) | {"drain_seconds": FOR_EVER, "request_seconds": 60}
    probe = int(str(settings["health_port"]))
    port = int(str(settings["classifier_address"]).rpartition(":")[2])
    with served(classifier, port), service("preprocess", **settings) as process:
        says(probe, SERVING)
        wait_for(lambda: classifier.tiles == 12, "all frames at the model", LONG_S)
        process.send_signal(signal.SIGTERM)
        says(probe, NOT_SERVING)
        assert results.count() == 0
        classifier.hold.set()
        assert ended(process) == 0
    assert results.all_judged(4)
    assert line.frames.backlog().waiting == 0


def test_a_source_that_drains_says_so_and_delivers_what_waits_for_redis(line: LineStream, tmp_path: Path) -> None:
    url, probe = (tmp_path / "url").read_text(), free_port()
    settings = {"redis_url": url, "line": "line1", "sim_strips": 0, "speed_m_per_s": 1, "live": "true"}
    with service("ingest", **settings, health_port=probe, drain_seconds=FOR_EVER) as process:
        says(probe, SERVING)
        wait_for(lambda: line.frames.backlog().waiting > 3, "frames", LONG_S)
        redis.Redis.from_url(url).client_pause(3_600_000, all=False)
        process.send_signal(signal.SIGTERM)
        says(probe, NOT_SERVING)
        assert process.poll() is None
        redis.Redis.from_url(url).client_unpause()
        assert ended(process) == 0
