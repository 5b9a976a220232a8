"""Server and client over real gRPC on loopback: errors keep their class, health is true, and stopping is orderly."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import REGISTRY
from redis_servers import wait_for

from stripwatch.domain.model import DescriptorSpec, InputSpec, ModelKind, ModelRef, ModelSpec
from stripwatch.domain.recipe import Role
from stripwatch.errors import (
    BadInput,
    Conflict,
    DeadlineExceeded,
    Overloaded,
    PeerUnavailable,
    StripwatchError,
    Unavailable,
)
from stripwatch.rpc import health, status
from stripwatch.rpc.channel import open_channel
from stripwatch.rpc.client import SERVICES, RemoteScorer
from stripwatch.rpc.codec.models import descriptors_to, spec_to, units_to
from stripwatch.rpc.live import LIVE
from stripwatch.rpc.server import GrpcServer
from stripwatch.rpc.v1 import model_pb2 as pb
from stripwatch.rpc.v1 import model_pb2_grpc as pb_grpc
from stripwatch.rpc.v1 import verdict_pb2, verdict_pb2_grpc
from tiny_models import grey_tiles

SPEC = ModelSpec(
    ModelRef("steel", "1"), ModelKind.CLASSIFIER, InputSpec(16, 1, "uint8"), ("healthy", "scratches"), "0" * 64, "e/1"
)
TILES = grey_tiles([1, 2, 3])
Answer = Callable[[pb.ClassifyRequest], pb.ClassifyResponse]


def _right(request: pb.ClassifyRequest) -> pb.ClassifyResponse:
    units = np.arange(request.tiles.count * 2, dtype=np.int32).reshape(-1, 2)
    return pb.ClassifyResponse(model=request.model, count=len(units), classes=2, probabilities=units_to(units))


class Scripted(pb_grpc.ClassifierServicer):
    """A classifier that answers as the test says."""

    def __init__(self) -> None:
        self.answer: Answer = _right
        self.spec = SPEC

    def Describe(self, request: pb.DescribeRequest, context: Any) -> pb.DescribeResponse:  # noqa: N802, ARG002
        return spec_to(self.spec)

    def Classify(self, request: pb.ClassifyRequest, context: Any) -> pb.ClassifyResponse:  # noqa: N802, ARG002
        return self.answer(request)


class Running:
    """A server with a scripted classifier, and a client of it."""

    def __init__(self, **options: Any) -> None:
        self.servicer = Scripted()
        self.reason: str | None = None
        self.server = GrpcServer("127.0.0.1", 0, ready=lambda: self.reason, **options)
        self.server.add(pb_grpc.add_ClassifierServicer_to_server, self.servicer, SERVICES[Role.CLASSIFIER])
        self.port = self.server.start()
        self.address = f"127.0.0.1:{self.port}"
        self.client = RemoteScorer(Role.CLASSIFIER, self.address)

    def close(self) -> None:
        self.client.close()
        self.server.stop(0)


@pytest.fixture
def running() -> Iterator[Running]:
    it = Running()
    yield it
    it.close()


def _raises(error: Exception) -> Answer:
    def answer(_request: pb.ClassifyRequest) -> pb.ClassifyResponse:
        raise error

    return answer


def _wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not until():
        assert time.monotonic() < end, "waited 20 s in vain"
        time.sleep(0.02)


def test_scores_come_back_as_units_in_their_shape(running: Running) -> None:
    assert running.client.describe("steel", 5) == SPEC
    pending = running.client.submit(SPEC, TILES, 5)
    assert pending.result().tolist() == [[0, 1], [2, 3], [4, 5]]
    assert pending.done()


@pytest.mark.parametrize("name", sorted(status.CLASSES))
def test_every_error_reaches_the_caller_as_the_same_class_with_its_text(running: Running, name: str) -> None:
    cls = status.CLASSES[name]
    running.servicer.answer = _raises(cls("expected steel, got brass"))
    with pytest.raises(StripwatchError) as raised:
        running.client.submit(SPEC, TILES, 5).result()
    assert type(raised.value) is cls
    assert str(raised.value) == f"classifier at {running.address}: expected steel, got brass"


def test_overload_carries_its_hint(running: Running) -> None:
    running.servicer.answer = _raises(Overloaded("full", retry_after_s=0.75))
    with pytest.raises(Overloaded) as raised:
        running.client.submit(SPEC, TILES, 5).result()
    assert raised.value.retry_after_s == 0.75


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, BadInput),
        (grpc.StatusCode.UNAVAILABLE, PeerUnavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Overloaded),
        (grpc.StatusCode.FAILED_PRECONDITION, Conflict),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.INTERNAL, StripwatchError),
    ],
)
def test_other_softwares_errors_are_told_by_their_status(code: grpc.StatusCode, cls: type[StripwatchError]) -> None:
    class Failure(grpc.RpcError, grpc.Call):  # type: ignore[misc]
        def code(self) -> grpc.StatusCode:
            return code

        def details(self) -> str:
            return "no"

        def trailing_metadata(self) -> Any:
            return ()

    assert type(status.error_of("peer", Failure())) is cls


def test_a_fault_of_ours_is_internal_and_shows_no_more_than_its_class(running: Running) -> None:
    running.servicer.answer = _raises(KeyError("secret"))
    with pytest.raises(StripwatchError) as raised:
        running.client.submit(SPEC, TILES, 5).result()
    assert type(raised.value) is StripwatchError
    assert "KeyError" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_long_text_does_not_hide_the_error(running: Running) -> None:
    running.servicer.answer = _raises(BadInput("ä" * 100_000))
    with pytest.raises(BadInput, match="ä"):
        running.client.submit(SPEC, TILES, 5).result()


@pytest.mark.parametrize(
    "answer",
    [
        pb.ClassifyResponse(model="steel/2", count=3, classes=2, probabilities=bytes(24)),
        pb.ClassifyResponse(model="steel/1", count=2, classes=2, probabilities=bytes(16)),
        pb.ClassifyResponse(model="steel/1", count=3, classes=3, probabilities=bytes(36)),
        pb.ClassifyResponse(model="steel/1", count=3, classes=2, probabilities=bytes(20)),
    ],
)
def test_an_answer_to_something_else_is_no_answer(running: Running, answer: pb.ClassifyResponse) -> None:
    running.servicer.answer = lambda _request: answer
    with pytest.raises(PeerUnavailable, match="expected"):
        running.client.submit(SPEC, TILES, 5).result()


@pytest.mark.parametrize(
    ("count", "width", "backbone"), [(3, 2, "abc"), (2, 4, "abc"), (3, 4, "abd"), (3, 4, ""), (0, 0, "")]
)
def test_descriptors_of_something_else_are_no_answer(running: Running, count: int, width: int, backbone: str) -> None:
    def answer(request: pb.ClassifyRequest) -> pb.ClassifyResponse:
        assert request.descriptors
        answer = _right(request)
        answer.descriptors.CopyFrom(descriptors_to(np.zeros((count, width), np.float32), backbone))
        return answer

    running.servicer.answer = answer
    pending = running.client.submit(replace(SPEC, descriptors=DescriptorSpec(4, "abc")), TILES, 5, descriptors=True)
    assert pending.result().shape == (3, 2)
    with pytest.raises(PeerUnavailable, match=r"expected 3 descriptors of steel/1 .*'abc'"):
        pending.descriptors()


def test_descriptors_cut_short_are_no_answer(running: Running) -> None:
    def answer(request: pb.ClassifyRequest) -> pb.ClassifyResponse:
        cut = pb.Descriptors(count=3, width=4, backbone_sha256="abc", data=bytes(47))
        answer = _right(request)
        answer.descriptors.CopyFrom(cut)
        return answer

    running.servicer.answer = answer
    pending = running.client.submit(replace(SPEC, descriptors=DescriptorSpec(4, "abc")), TILES, 5, descriptors=True)
    with pytest.raises(PeerUnavailable, match=r"expected 48 bytes for \(3, 4\) float32, got 47"):
        pending.descriptors()


def test_a_model_of_another_kind_is_not_taken(running: Running) -> None:
    running.servicer.spec = ModelSpec(SPEC.ref, ModelKind.ANOMALY, SPEC.input, (), SPEC.sha256, SPEC.engine)
    with pytest.raises(PeerUnavailable, match="kind classifier, got anomaly"):
        running.client.describe("steel", 5)


def test_the_wrong_service_behind_an_address_is_a_conflict(running: Running) -> None:
    client = RemoteScorer(Role.ANOMALY, running.address)
    with pytest.raises(Conflict):
        client.describe("texture", 5)
    assert client.ready(5) == f"anomaly at {running.address}: SERVICE_UNKNOWN"
    client.close()


def test_a_slow_answer_ends_at_its_deadline_and_a_cancelled_one_at_once(running: Running) -> None:
    go = threading.Event()
    running.servicer.answer = lambda request: (go.wait(20), _right(request))[1]
    with pytest.raises(DeadlineExceeded):
        running.client.submit(SPEC, TILES, 0.1).result()
    pending = running.client.submit(SPEC, TILES, 20)
    pending.cancel()
    with pytest.raises(PeerUnavailable, match="cancelled"):
        pending.result()
    go.set()


def test_a_server_that_is_away_is_unavailable_and_one_that_comes_back_is_found(running: Running) -> None:
    running.server.stop(0)
    with pytest.raises(PeerUnavailable):
        running.client.submit(SPEC, TILES, 5).result()
    assert "UNREACHABLE" in (running.client.ready(0.3) or "")
    assert health.status(running.address, 0.3) == health.UNREACHABLE
    again = GrpcServer("127.0.0.1", running.port, ready=lambda: None)
    again.add(pb_grpc.add_ClassifierServicer_to_server, running.servicer, SERVICES[Role.CLASSIFIER])
    again.start()
    _wait(lambda: running.client.ready(1) is None)
    assert running.client.submit(SPEC, TILES, 5).result().shape == (3, 2)
    again.stop(0)


def test_a_closed_client_says_so(running: Running) -> None:
    running.client.close()
    with pytest.raises(PeerUnavailable):
        running.client.submit(SPEC, TILES, 1).result()
    with pytest.raises(PeerUnavailable):
        running.client.describe("steel", 1)


def test_a_message_over_the_limit_is_bad_input_that_no_retry_can_help() -> None:
    it = Running(max_message_bytes=4096)
    with pytest.raises(BadInput, match="larger than max"):
        it.client.submit(SPEC, grey_tiles([0] * 64), 5).result()
    it.close()


def test_more_calls_than_may_wait_are_refused_as_overload() -> None:
    it, go = Running(max_workers=1), threading.Event()
    it.servicer.answer = lambda request: (go.wait(20), _right(request))[1]
    calls = [it.client.submit(SPEC, TILES, 20) for _ in range(12)]
    _wait(lambda: any(call.done() for call in calls))
    go.set()
    refused = 0
    for call in calls:
        try:
            call.result()
        except Overloaded:
            refused += 1
    assert 0 < refused < 12
    it.close()


def test_a_taken_port_is_a_clear_conflict(running: Running) -> None:
    with pytest.raises(Conflict, match=f"cannot listen on {running.address}"):
        GrpcServer("127.0.0.1", running.port, ready=lambda: None).start()


def test_health_follows_readiness_for_every_service_name(running: Running) -> None:
    for name in ("", SERVICES[Role.CLASSIFIER]):
        _wait(lambda name=name: health.status(running.address, 5, name) == health.SERVING)  # type: ignore[misc]
    assert health.status(running.address, 5, "no.such.Service") == health.UNKNOWN
    running.reason = "Redis does not answer"
    for name in ("", SERVICES[Role.CLASSIFIER]):
        _wait(lambda name=name: health.status(running.address, 5, name) == health.NOT_SERVING)  # type: ignore[misc]
    assert running.server.reason == "Redis does not answer"


def test_a_service_is_alive_while_its_loop_turns_ready_or_not_and_while_it_ends(running: Running) -> None:
    running.reason = "Redis does not answer"
    _wait(lambda: health.status(running.address, 5) == health.NOT_SERVING)
    assert health.status(running.address, 5, LIVE) == health.SERVING
    turns = False
    running.server.live_while(lambda: turns)
    assert health.status(running.address, 5, LIVE) == health.NOT_SERVING
    turns = True
    running.server.drain()
    assert health.status(running.address, 5, LIVE) == health.SERVING


@pytest.mark.parametrize("error", [Unavailable("away"), ZeroDivisionError()])
def test_a_readiness_check_that_fails_means_not_ready(error: Exception) -> None:
    def ready() -> str | None:
        raise error

    server = GrpcServer("127.0.0.1", 0, ready=ready)
    address = f"127.0.0.1:{server.start()}"
    _wait(lambda: server.reason != "starting")
    assert health.status(address, 5) == health.NOT_SERVING
    server.stop(0)


def test_stopping_says_not_serving_finishes_calls_in_flight_and_cuts_watchers(running: Running) -> None:
    entered, go = threading.Event(), threading.Event()

    def answer(request: pb.ClassifyRequest) -> pb.ClassifyResponse:
        entered.set()
        go.wait(20)
        return _right(request)

    running.servicer.answer = answer
    _wait(lambda: running.client.ready(5) is None)
    seen: queue.Queue[int] = queue.Queue()
    channel = open_channel(running.address)
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    threading.Thread(target=lambda: _follow(watch, seen), daemon=True).start()
    assert seen.get(timeout=20) == health_pb2.HealthCheckResponse.SERVING
    pending = running.client.submit(SPEC, TILES, 20)
    assert entered.wait(20)
    stopping = threading.Thread(target=running.server.stop, args=(600,))
    stopping.start()
    assert seen.get(timeout=20) == health_pb2.HealthCheckResponse.NOT_SERVING
    assert not pending.done()
    go.set()
    assert pending.result().shape == (3, 2)
    stopping.join(20)
    assert not stopping.is_alive()  # the watcher does not hold the server for its 600 s of grace
    channel.close()


def _follow(watch: Any, seen: queue.Queue[int]) -> None:
    try:
        for answer in watch:
            seen.put(answer.status)
    except grpc.RpcError:
        seen.put(-1)


class Patient(verdict_pb2_grpc.VerdictsServicer):
    """Answers a watch once, and sees for itself when whoever watches is gone, as the aggregator does."""

    def Watch(self, request: verdict_pb2.WatchRequest, context: Any) -> Iterator[verdict_pb2.WatchResponse]:  # noqa: N802, ARG002
        yield verdict_pb2.WatchResponse()
        while context.is_active():
            time.sleep(0.01)


def test_a_stream_that_is_left_is_counted_as_cancelled_also_where_its_servicer_sees_that_first() -> None:
    def ended(code: str) -> float:
        labels = {"method": "stripwatch.rpc.v1.Verdicts/Watch", "code": code}
        return REGISTRY.get_sample_value("stripwatch_served_requests_total", labels) or 0.0

    before = {code: ended(code) for code in ("OK", "CANCELLED")}
    server = GrpcServer("127.0.0.1", 0, ready=lambda: None)
    server.add(verdict_pb2_grpc.add_VerdictsServicer_to_server, Patient(), "stripwatch.rpc.v1.Verdicts")
    with open_channel(f"127.0.0.1:{server.start()}") as channel:
        watch = verdict_pb2_grpc.VerdictsStub(channel).Watch(verdict_pb2.WatchRequest(line="line1"), timeout=60)
        next(watch)
        watch.cancel()
        wait_for(lambda: ended("OK") + ended("CANCELLED") > sum(before.values()), "the end of the watch", 60)
    server.stop(0)
    assert {code: ended(code) - before[code] for code in before} == {"OK": 0.0, "CANCELLED": 1.0}


def test_watchers_of_health_who_come_and_go_never_hold_up_the_server(running: Running) -> None:
    """Before, one who left while another's answer was on its way stopped the server's only thread for good."""
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            with grpc.insecure_channel(running.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                watches = [health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()) for _ in range(4)]
                next(watches[0])
                for watch in watches:
                    watch.cancel()

    watchers = [threading.Thread(target=come_and_go, daemon=True) for _ in range(4)]
    for watcher in watchers:
        watcher.start()
    time.sleep(3.0)
    over.set()
    assert running.client.describe("steel", 20.0) == SPEC
    for watcher in watchers:
        watcher.join(20.0)
        assert not watcher.is_alive()


def test_the_health_command_of_containers_says_by_its_exit_code_whether_a_service_serves(running: Running) -> None:
    def probe(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "stripwatch.rpc.health", *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        return ended.returncode, (ended.stdout or ended.stderr).strip()

    _wait(lambda: health.status(running.address, 1.0) == "SERVING")
    assert probe(running.address) == (0, "SERVING")
    running.server.live_while(lambda: False)
    assert probe(running.address, LIVE) == (1, "NOT_SERVING")
    assert probe("127.0.0.1:1") == (1, "UNREACHABLE")
    assert probe() == (2, "usage: python -m stripwatch.rpc.health HOST:PORT [NAME]")
