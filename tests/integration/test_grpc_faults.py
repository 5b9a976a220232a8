"""Model services that restart, die, hang, come late or say goodbye: frames wait, none fails and none is lost.

A message over the size limit is in test_rpc.py, killed and late processes are in test_preprocess_process.py.
"""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from redis_servers import free_port, wait_for

from chaos.proxy import FaultProxy, Faults
from model_services import ModelService, served
from preprocess_cases import RUN, spec_of
from preprocess_process import Results, line_on_redis, send, service, start, worker_settings
from stripwatch.domain.frame import RunId
from stripwatch.domain.recipe import Role
from stripwatch.domain.result import Outcome
from stripwatch.errors import DeadlineExceeded, ModelNotReady, PeerUnavailable
from stripwatch.ports import LineStream
from stripwatch.rpc import health
from stripwatch.rpc.client import RemoteScorer
from stripwatch.runtime.deadline import Deadline
from stripwatch_preprocess.ask import Ask
from stripwatch_preprocess.settings import PreprocessSettings
from tiny_models import grey_tiles

SPEC = spec_of(Role.CLASSIFIER)
TILES = grey_tiles([40, 200])
BUDGET_S = PreprocessSettings().request_seconds
TILES_A_FRAME = 3
STRICT = RunId("line1", "coil-8", "run-1")


@pytest.fixture
def line(tmp_path: Path) -> Iterator[LineStream]:
    with line_on_redis(tmp_path) as found:
        yield found


class Log:
    """What a worker says, read as it comes: a full pipe would stop it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.text: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr
        self.text.extend(self.process.stderr)

    def has(self, words: str) -> bool:
        return any(words in line for line in self.text)


@contextmanager
def worker(folder: Path, classifiers: str, **settings: object) -> Iterator[Log]:
    """A worker whose classifier is at this gRPC target."""
    given = {**worker_settings(folder, 0), "classifier_address": classifiers, "batch_tiles": 6, **settings}
    with service("preprocess", **given) as process:
        yield Log(process)
        assert process.poll() is None


def target(*ports: int) -> str:
    return "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)


def settled(line: LineStream, results: Results, frames: int) -> None:
    """Waits until every frame is judged; none may have failed on the way, or been left over."""
    wait_for(lambda: results.all_judged(frames), f"{frames} judged frames", 120)
    assert line.dead.page(10) == []
    assert line.frames.backlog().waiting == 0


@contextmanager
def client_of(address: str) -> Iterator[RemoteScorer]:
    client = RemoteScorer(Role.CLASSIFIER, address)
    yield client
    client.close()


def ask_at_once(client: RemoteScorer, count: int) -> list[Ask]:
    """That many batches together, each with the budget of a batch; when all are over."""
    submit = partial(client.submit, SPEC)
    woken = threading.Event()
    asks = [Ask(submit, SPEC, TILES, 64, Deadline.after(BUDGET_S), woken.set, patient=True) for _ in range(count)]
    waiting = asks
    while waiting := [ask for ask in waiting if not ask.poll()]:
        woken.wait(0.005)
    return asks


def test_a_half_open_connection_is_noticed_within_a_batchs_budget_and_deadlines_hold_meanwhile() -> None:
    """Before, nothing noticed it for 80 s: gRPC bounds a ping by a setting of its own, not by the keepalive's."""
    port = free_port()
    with served(ModelService(), port), FaultProxy(port) as proxy, client_of(f"127.0.0.1:{proxy.port}") as client:
        assert client.submit(SPEC, TILES, BUDGET_S).result().shape == (2, 2)
        proxy.set(Faults(half_open=True))
        proxy.heal()  # for new connections; the old one stays deaf
        with pytest.raises(DeadlineExceeded):
            client.submit(SPEC, TILES, 0.5).result()
        with pytest.raises(PeerUnavailable, match="ping timeout"):
            client.submit(SPEC, TILES, BUDGET_S).result()
        assert client.submit(SPEC, TILES, BUDGET_S).result().shape == (2, 2)


def test_frames_wait_out_a_half_open_connection_and_none_fails(line: LineStream, tmp_path: Path) -> None:
    port, results = free_port(), Results(line)
    classifier = ModelService()
    start(line)
    with served(classifier, port), FaultProxy(port) as proxy, worker(tmp_path, target(proxy.port)):
        send(line, 0, 10)
        settled(line, results, 10)
        proxy.set(Faults(half_open=True))
        send(line, 10, 10)
        wait_for(lambda: line.frames.backlog().pending > 0, "frames on their way")
        proxy.heal()
        settled(line, results, 20)
        assert proxy.connections > 1


def test_a_server_that_restarts_with_calls_in_flight_costs_no_frame(line: LineStream, tmp_path: Path) -> None:
    port, results = free_port(), Results(line)
    start(line)
    with worker(tmp_path, target(port)), ExitStack() as stack:
        for life in range(3):
            classifier = ModelService()
            classifier.hold.clear()
            with served(classifier, port):
                send(line, life * 10, 10)
                wait_for(lambda one=classifier: one.waiting > 0, "calls in flight", 60)  # type: ignore[misc]
            assert results.count() == 0  # it ended with all of them unanswered
        stack.enter_context(served(ModelService(), port))
        settled(line, results, 30)


def test_a_server_that_ends_its_connections_now_and_then_costs_no_frame(line: LineStream, tmp_path: Path) -> None:
    """GOAWAY with calls in flight: they are finished on the old connection, the next ones go over a new one."""
    port, results = free_port(), Results(line)
    classifier = ModelService()
    classifier.before = lambda _greys: time.sleep(0.1)
    start(line)
    frames = 0
    with served(classifier, port, connection_age_s=0.5), worker(tmp_path, target(port)) as log:
        while len(classifier.peers) < 4:
            send(line, frames, 10)
            frames += 10
            settled(line, results, frames)
        assert not log.has("is away")
    assert classifier.tiles == frames * TILES_A_FRAME  # each was asked about once


def test_a_service_that_accepts_and_never_answers_holds_up_only_who_needs_it(line: LineStream, tmp_path: Path) -> None:
    port, probe, results = free_port(), free_port(), Results(line)
    start(line, STRICT, "strict")
    send(line, 0, 3, STRICT)
    start(line)
    send(line, 0, 10)
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        anomaly = int(silent.getsockname()[1])
        stack.enter_context(served(ModelService(), port))
        settings = {"anomaly_address": target(anomaly), "request_seconds": 1, "health_port": probe}
        log = stack.enter_context(worker(tmp_path, target(port), **settings))
        wait_for(lambda: results.all_judged(10), "the frames that need the classifier alone", 120)
        assert {result.header.run for result in results.found} == {RUN}
        wait_for(lambda: log.has(f"not ready: anomaly at {target(anomaly)}: UNREACHABLE"), "the reason", 60)
        assert health.status(f"127.0.0.1:{probe}", 5.0) == health.NOT_SERVING
        silent.close()
        stack.enter_context(served(ModelService(Role.ANOMALY), anomaly))
        wait_for(lambda: results.count() == 13, "the frames that need both", 120)
        assert {result.outcome for result in results.found} == {Outcome.JUDGED}
        wait_for(lambda: health.status(f"127.0.0.1:{probe}", 5.0) == health.SERVING, "readiness", 60)
    assert line.dead.page(10) == []


def test_a_replica_that_is_down_is_skipped(tmp_path: Path, line: LineStream) -> None:
    up, down, results = free_port(), free_port(), Results(line)
    classifier = ModelService()
    start(line)
    with served(classifier, up), worker(tmp_path, target(down, up)) as log:
        send(line, 0, 20)
        settled(line, results, 20)
        assert not log.has("is away")
    assert classifier.tiles == 20 * TILES_A_FRAME


def test_a_replica_that_dies_with_calls_in_flight_leaves_them_to_the_other(line: LineStream, tmp_path: Path) -> None:
    ports, results = (free_port(), free_port()), Results(line)
    dies, lives = ModelService(), ModelService()
    dies.hold.clear()
    start(line)
    with served(lives, ports[1]), worker(tmp_path, target(*ports)) as log:
        with served(dies, ports[0]):
            send(line, 0, 20)
            wait_for(lambda: dies.waiting > 0, "calls at the one that dies", 60)
        settled(line, results, 20)
        assert not log.has("is away")


def test_batches_are_done_within_their_budget_although_one_of_two_replicas_falls_silent() -> None:
    ports = free_port(), free_port()
    services = ModelService(), ModelService()
    with (
        served(services[0], ports[0]),
        served(services[1], ports[1]),
        FaultProxy(ports[0]) as proxy,
        client_of(target(proxy.port, ports[1])) as client,
    ):
        wait_for(lambda: ask_at_once(client, 4) != [] and all(one.tiles for one in services), "both in use")
        proxy.set(Faults(half_open=True))
        asks = ask_at_once(client, 8)
    assert [ask.fault for ask in asks] == [None] * 8
    assert all(np.array_equal(ask.scores, asks[0].scores) for ask in asks)


def test_a_replica_that_accepts_and_never_answers_from_the_start_is_not_used() -> None:
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        served(ModelService(), port),
        client_of(target(silent.getsockname()[1], port)) as client,
    ):
        assert [ask.fault for ask in ask_at_once(client, 8)] == [None] * 8


def test_a_service_that_is_not_ready_yet_is_waited_for_and_a_late_replica_gets_its_share(
    line: LineStream, tmp_path: Path
) -> None:
    ports, results = (free_port(), free_port()), Results(line)
    first, late = ModelService(), ModelService()
    refused: list[int] = []
    first.scorer.fault = ModelNotReady("steel/1 is being loaded")
    first.scorer.described = refused  # type: ignore[assignment]
    start(line)
    with worker(tmp_path, target(*ports)), served(first, ports[0]):
        send(line, 0, 10)
        wait_for(lambda: len(refused) >= 3, "tries in vain", 60)
        assert results.count() == 0
        first.scorer.fault = None
        settled(line, results, 10)
        with served(late, ports[1]):
            frames = 10
            while not late.tiles:
                send(line, frames, 10)
                frames += 10
                settled(line, results, frames)
    assert first.tiles > 0
