"""A server's gRPC port under bytes of any kind: it stays up, answers those who speak properly, and does not grow.

No service has another port yet: there is no HTTP to fuzz.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import grpc
import pytest

from fuzz.messages import shape
from fuzz.target import changed
from integration.test_model_services import Service
from stripwatch.domain.recipe import Role
from stripwatch.rpc.v1 import model_pb2 as pb
from stripwatch.rpc.v1 import model_pb2_grpc as pb_grpc
from tile_message import tiles_to
from tiny_models import grey_tiles, write_model

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = struct.pack(">I", 0)[1:] + bytes((4, 0)) + bytes(4)
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INTERNAL,  # gRPC's own word for bytes that are no message
}
MOST_GROWTH_KIB = 128 << 10
KIND = b"\x07"
"""Of a ClassifyRequest, among the messages that are fuzzed."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    models = tmp_path_factory.mktemp("models")
    write_model(models)
    service = Service(Role.CLASSIFIER, models)
    try:
        service.wait_ready()
        _answers(service)
        yield service
    finally:
        service.close()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def random_bytes(random: Random) -> bytes:
    return random.randbytes(random.choice((1, 9, 100, 5_000)))


def random_frames(random: Random) -> bytes:
    frames = (
        frame(random.randrange(12), random.randrange(256), random.randrange(8), random.randbytes(random.randrange(64)))
        for _ in range(50)
    )
    return PREFACE + SETTINGS + b"".join(frames)


def frames_that_lie(random: Random) -> bytes:
    """Of 16 MiB, of which a few bytes come."""
    return PREFACE + SETTINGS + b"\xff\xff\xff" + bytes((random.randrange(10), 4)) + bytes((0, 0, 0, 1)) + bytes(100)


def headers_without_end(_random: Random) -> bytes:
    return PREFACE + SETTINGS + frame(1, 0, 1, b"\x00") + frame(9, 0, 1, b"\x00\x01a\x7f\xe1\x7e" + b"a" * 16_000) * 500


def streams_reset_at_once(_random: Random) -> bytes:
    opened = b"\x83\x86\x45\x01/\x41\x01a"
    return (
        PREFACE
        + SETTINGS
        + b"".join(frame(1, 4, stream, opened) + frame(3, 0, stream, bytes(4)) for stream in range(1, 4_001, 2))
    )


def pings_and_settings(_random: Random) -> bytes:
    return PREFACE + SETTINGS + (frame(6, 0, 0, bytes(8)) + frame(4, 0, 0, struct.pack(">HI", 3, 1))) * 5_000


def other_protocols(random: Random) -> bytes:
    return random.choice((b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"*1\r\n$4\r\nPING\r\n"))


NOISES = (
    random_bytes,
    random_frames,
    frames_that_lie,
    headers_without_end,
    streams_reset_at_once,
    pings_and_settings,
    other_protocols,
)


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.__name__)
def test_noise_on_the_port_neither_ends_the_server_nor_makes_it_grow(server: Service, noise) -> None:  # type: ignore[no-untyped-def]
    random, before = Random(7), _memory_kib(server)
    open_ones = []
    for number in range(40):
        connection = socket.create_connection(_place(server), 10.0)
        with suppress(OSError):  # it may hang up at any byte
            connection.settimeout(1.0)
            connection.sendall(noise(random))
        if number % 2:
            open_ones.append(connection)
        else:
            connection.close()
    _answers(server)
    assert _memory_kib(server) - before < MOST_GROWTH_KIB
    for connection in open_ones:
        connection.close()
    _answers(server)


def test_clients_that_say_nothing_more_keep_nobody_else_out(server: Service) -> None:
    silent = [socket.create_connection(_place(server), 10.0) for _ in range(200)]
    try:
        for number, connection in enumerate(silent):
            connection.sendall(PREFACE[: number % len(PREFACE)])
        _answers(server)
    finally:
        for connection in silent:
            connection.close()


def test_requests_that_are_no_messages_are_refused_one_by_one(server: Service) -> None:
    random, before = Random(3), _memory_kib(server)
    sound = KIND + pb.ClassifyRequest(model="steel/1", tiles=tiles_to(grey_tiles([10, 200]))).SerializeToString()
    refused: list[grpc.RpcError] = []
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary("/stripwatch.rpc.v1.Classifier/Classify")  # bytes in, bytes out
        for _ in range(500):
            try:
                call(shape(changed(sound, random), random)[1:], timeout=30.0)
            except grpc.RpcError as error:
                refused.append(error)
    assert len(refused) > 100
    assert {error.code() for error in refused} <= REFUSALS  # type: ignore[attr-defined]
    assert not any("Traceback" in error.details() for error in refused)  # type: ignore[attr-defined]
    _answers(server)
    assert _memory_kib(server) - before < MOST_GROWTH_KIB


def test_a_client_cannot_write_a_line_into_the_log(server: Service) -> None:
    """gRPC's own log prints the text of a GOAWAY frame as it came."""
    forged = b"\nERROR forged \x1b[2J\n"
    for _ in range(5):
        with socket.create_connection(_place(server), 10.0) as connection:
            connection.sendall(PREFACE + SETTINGS + frame(7, 0, 0, bytes(4) + struct.pack(">I", 11) + forged))
            with suppress(OSError):  # until it hangs up
                connection.settimeout(2.0)
                while connection.recv(4096):
                    continue
    _answers(server)
    assert not [line for line in server.log if "forged" in line]


def test_a_header_of_a_megabyte_is_refused(server: Service) -> None:
    with grpc.insecure_channel(server.address) as channel:
        describe = pb_grpc.ClassifierStub(channel).Describe
        with pytest.raises(grpc.RpcError) as refused:
            describe(pb.DescribeRequest(model="steel"), metadata=[("x", "a" * (1 << 20))], timeout=30.0)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
    _answers(server)


def _answers(server: Service) -> None:
    """A client that speaks properly gets what it asks for."""
    with grpc.insecure_channel(server.address) as channel:
        request = pb.ClassifyRequest(model="steel/1", tiles=tiles_to(grey_tiles([10, 200])))
        answer = pb_grpc.ClassifierStub(channel).Classify(request, timeout=60.0, wait_for_ready=True)
    assert answer.count == 2
    assert server.process.poll() is None


def _place(server: Service) -> tuple[str, int]:
    host, _, port = server.address.rpartition(":")
    return host, int(port)


def _memory_kib(server: Service) -> int:
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")
