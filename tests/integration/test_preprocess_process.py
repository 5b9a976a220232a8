"""Preprocess as a process on a real Redis and a real classifier: killed, stopped, and with its service away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from redis_servers import binaries, free_port, server, wait_for

from preprocess_cases import RECIPE, RUN, header_of, strip_image
from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.result import FrameResult, Outcome
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.ports import Done, Kind, LineStream, Outgoing
from stripwatch.rpc.codec.frames import encode_end, encode_header, encode_start
from stripwatch.rpc.codec.results import decode_result
from stripwatch.rpc.health import status
from stripwatch.stream import connect
from tiny_models import write_model

GREYS = [40, 200]


@contextmanager
def service(name: str, **values: object) -> Iterator[subprocess.Popen[str]]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("STRIPWATCH_")}
    env |= {f"STRIPWATCH_{key.upper()}": str(value) for key, value in values.items()}
    process = subprocess.Popen([sys.executable, "-m", f"stripwatch_{name}"], env=env, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[LineStream]:
    found = binaries()
    if not found:
        pytest.skip("no redis-server here")
    with server(next(iter(found.values())), tmp_path) as port:
        stream = connect(f"redis://127.0.0.1:{port}")
        (tmp_path / "url").write_text(f"redis://127.0.0.1:{port}")
        write_model(tmp_path / "models")
        (tmp_path / "plain.yaml").write_text(RECIPE.replace(", anomaly: texture", ""))
        yield stream.line("line1")
        stream.close()


def worker_settings(folder: Path, classifier: int) -> dict[str, object]:
    return {
        "redis_url": (folder / "url").read_text(),
        "recipes": folder,
        "classifier_address": f"127.0.0.1:{classifier}",
        "anomaly_address": "",
        "claim_idle_seconds": 1,
        "prefetch": 4,
        "health_port": free_port(),
    }


def start(line: LineStream) -> None:
    declared = RunStart(RUN, (Camera("cam1", Side.TOP, 20, 60),), "plain", 60, None, 1)
    line.source.start_run(RUN, encode_start(declared), cameras=["cam1"], live=True, deadline_ms=60_000)


def send(line: LineStream, first: int, count: int) -> None:
    for index in range(first, first + count):
        image = strip_image(GREYS[index % 2])
        line.source.publish([Outgoing(Kind.FRAME, RUN, encode_header(header_of(image, index)), image.tobytes())])


def collect(line: LineStream, found: list[FrameResult], kinds: list[Kind]) -> None:
    for entry in line.results.read("test", 1000, 0):
        kinds.append(entry.kind)
        if entry.kind is Kind.RESULT:
            found.append(decode_result(entry.body))


def test_each_frame_has_one_result_although_a_worker_is_killed_and_its_service_comes_late(
    line: LineStream, tmp_path: Path
) -> None:
    port = free_port()
    found: list[FrameResult] = []
    kinds: list[Kind] = []

    def results() -> int:
        collect(line, found, kinds)
        return len(found)

    start(line)
    send(line, 0, 30)
    with ExitStack() as stack:
        killed = stack.enter_context(service("preprocess", **worker_settings(tmp_path, port)))
        wait_for(lambda: line.frames.backlog().pending > 0, "the first frames being taken", 30)
        killed.send_signal(signal.SIGKILL)  # with frames in hand that wait for the classifier
        killed.wait()
        assert results() == 0
        stack.enter_context(service("classifier", models=tmp_path / "models", health_port=port))
        settings = worker_settings(tmp_path, port)
        worker = stack.enter_context(service("preprocess", **settings))
        wait_for(lambda: results() >= 30, "30 results", 60)
        wait_for(lambda: status(f"127.0.0.1:{settings['health_port']}", 1.0) == "SERVING", "readiness", 30)
        send(line, 30, 10)
        line.source.publish([Outgoing(Kind.END, RUN, encode_end(CameraEnd(RUN, "cam1", 40)))])
        wait_for(lambda: results() == 40 and Kind.END in kinds, "40 results", 30)
        assert list(line.beats.alive()) == ["preprocess"]
        worker.send_signal(signal.SIGTERM)
        _, errors = worker.communicate(timeout=30)
    assert worker.returncode == 0, errors
    assert sorted(result.header.index for result in found) == list(range(40))
    assert {result.outcome for result in found} == {Outcome.JUDGED}
    assert sorted(kinds) == sorted([Kind.START, Kind.END, *[Kind.RESULT] * 40])
    for result in found:
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
    assert line.work.finish([Done(entry.id, entry.kind, entry.run, entry.body) for entry in entries]) == 4


def test_a_wrong_setting_is_named() -> None:
    with service("preprocess", batch_tiles=0) as worker:
        _, errors = worker.communicate(timeout=30)
    assert worker.returncode == 2
    assert "STRIPWATCH_BATCH_TILES" in errors
