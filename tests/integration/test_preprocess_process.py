"""Preprocess as a process on a real Redis and a real classifier: killed, stopped, and with its service away."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis_servers import free_port, wait_for

from preprocess_cases import RUN
from preprocess_process import GREYS, Results, line_on_redis, send, service, start, worker_settings
from stripwatch.domain.strip import CameraEnd
from stripwatch.ports import Done, Kind, LineStream, Outgoing
from stripwatch.rpc.codec.frames import encode_end
from stripwatch.rpc.health import status
from tiny_models import write_model


@pytest.fixture
def line(tmp_path: Path) -> Iterator[LineStream]:
    write_model(tmp_path / "models")
    with line_on_redis(tmp_path) as found:
        yield found


def test_each_frame_has_one_result_although_a_worker_is_killed_and_its_service_comes_late(
    line: LineStream, tmp_path: Path
) -> None:
    port = free_port()
    results = Results(line)
    start(line)
    send(line, 0, 30)
    with ExitStack() as stack:
        killed = stack.enter_context(service("preprocess", **worker_settings(tmp_path, port)))
        wait_for(lambda: line.frames.backlog().pending > 0, "the first frames being taken", 30)
        killed.send_signal(signal.SIGKILL)  # with frames in hand that wait for the classifier
        killed.wait()
        assert results.count() == 0
        stack.enter_context(service("classifier", models=tmp_path / "models", health_port=port))
        settings = worker_settings(tmp_path, port)
        worker = stack.enter_context(service("preprocess", **settings))
        wait_for(lambda: results.count() >= 30, "30 results", 60)
        wait_for(lambda: status(f"127.0.0.1:{settings['health_port']}", 1.0) == "SERVING", "readiness", 30)
        send(line, 30, 10)
        line.source.publish([Outgoing(Kind.END, RUN, encode_end(CameraEnd(RUN, "cam1", 40)))])
        wait_for(lambda: results.count() == 40 and Kind.END in results.kinds, "40 results", 30)
        assert list(line.beats.alive()) == ["preprocess"]
        worker.send_signal(signal.SIGTERM)
        _, errors = worker.communicate(timeout=30)
    assert worker.returncode == 0, errors
    assert results.all_judged(40)
    assert sorted(results.kinds) == sorted([Kind.START, Kind.END, *[Kind.RESULT] * 40])
    for result in results.found:
        bright = GREYS[result.header.index % 2] > 128
        assert all((tile.probabilities[1] > 5_000) == bright for tile in result.tiles)
        assert result.models == ("steel/1",)
    assert line.frames.backlog().waiting == 0


def test_a_stop_hands_back_what_waits_for_a_service_that_is_away(line: LineStream, tmp_path: Path) -> None:
    start(line)
    send(line, 0, 3)
    with service("preprocess", **worker_settings(tmp_path, free_port())) as worker:
        wait_for(lambda: line.frames.backlog().pending == 4, "all entries being taken", 30)
        worker.send_signal(signal.SIGTERM)
        _, errors = worker.communicate(timeout=30)
    assert worker.returncode == 0, errors
    entries = line.frames.claim("test", 30_000, 10)
    assert [entry.deliveries for entry in entries] == [1] * 4
    assert line.work.finish([Done(entry.id, entry.kind, entry.run, entry.body) for entry in entries]) == [True] * 4


def test_a_wrong_setting_is_named() -> None:
    with service("preprocess", batch_tiles=0) as worker:
        _, errors = worker.communicate(timeout=30)
    assert worker.returncode == 2
    assert "STRIPWATCH_BATCH_TILES" in errors
