"""The Verdicts service with tokens: who is let in, what stays open, and a token that is replaced."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from certificates import put
from stripwatch.domain.frame import RunId
from stripwatch.errors import SettingsInvalid
from stripwatch.ports import Event, LineStream
from stripwatch.rpc import health
from stripwatch.rpc.server import GrpcServer
from stripwatch.rpc.tokens import parse_tokens, tokens_in
from stripwatch.rpc.v1 import frame_pb2, verdict_pb2_grpc
from stripwatch.rpc.v1 import verdict_pb2 as pb
from stripwatch.runtime import fresh
from stripwatch.stream.memory import MemoryStream
from stripwatch_aggregator.verdicts import SERVICE, VerdictsService

MES = "0123456789abcdef-mes"
YARD = "fedcba9876543210-yard"
NEW = "new-token-of-the-mes"


@pytest.fixture
def stream() -> MemoryStream:
    return MemoryStream()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of tokens; it is looked at for every call."""
    monkeypatch.setattr(fresh, "CHECK_EVERY_S", 0.0)
    path = tmp_path / "tokens"
    path.write_text(f"# who may read verdicts\nmes:{MES}\n\nyard:{YARD}\n")
    return path


@pytest.fixture
def address(stream: MemoryStream, path: Path) -> Iterator[str]:
    server = GrpcServer("127.0.0.1", 0, ready=lambda: None, connection_age_s=None, tokens=tokens_in(path))
    service = VerdictsService(stream, ["line1"], 4, lambda: True)
    server.add(verdict_pb2_grpc.add_VerdictsServicer_to_server, service, SERVICE)
    yield f"127.0.0.1:{server.start()}"
    server.stop(0)


@pytest.fixture
def stub(address: str) -> Iterator[verdict_pb2_grpc.VerdictsStub]:
    with grpc.insecure_channel(address) as channel:
        yield verdict_pb2_grpc.VerdictsStub(channel)


def publish(line: LineStream, strip: str) -> None:
    run = RunId("line1", strip, "r1")
    line.source.start_run(run, b"", cameras=["top-1"], live=False, deadline_ms=1000)
    state = line.runs.state(run)
    assert state is not None
    event = Event(strip, run, json.dumps({"id": strip}).encode(), pb.StripVerdict().SerializeToString())
    assert line.runs.close(run, state.revision, event)


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "Watch": lambda stub, shown: next(stub.Watch(pb.WatchRequest(line="line1"), metadata=shown, timeout=30)),
    "List": lambda stub, shown: stub.List(pb.ListRequest(line="line1"), metadata=shown, timeout=30),
    "Get": lambda stub, shown: stub.Get(
        pb.GetRequest(run=frame_pb2.RunId(line="line1", strip="coil-1", run="r1")), metadata=shown, timeout=30
    ),
}


def refused(call: Callable[[], Any]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert MES not in str(caught.value)
    return caught.value.code()  # type: ignore[no-any-return]


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize(
    "shown",
    [
        (),
        bearer(""),
        bearer("0123456789abcdef-me"),
        bearer(f"{MES}x"),
        bearer(f"mes:{MES}"),
        (("authorization", MES),),
        (("authorization", f"Basic {MES}"),),
        (*bearer(MES), *bearer(YARD)),
    ],
    ids=["none", "empty", "short", "long", "with its name", "no scheme", "another scheme", "two"],
)
def test_a_call_without_a_known_token_is_not_answered(
    stream: MemoryStream, stub: Any, method: str, shown: tuple[tuple[str, str], ...]
) -> None:
    publish(stream.line("line1"), "coil-1")
    assert refused(lambda: CALLS[method](stub, shown)) is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("token", [MES, YARD])
def test_each_token_of_the_file_opens_every_method(stream: MemoryStream, stub: Any, method: str, token: str) -> None:
    publish(stream.line("line1"), "coil-1")
    assert CALLS[method](stub, bearer(token)) is not None


def test_health_and_reflection_stay_open(address: str) -> None:
    assert health.status(address, 30, SERVICE) in (health.SERVING, health.NOT_SERVING)
    with grpc.insecure_channel(address) as channel:
        assert SERVICE in ProtoReflectionDescriptorDatabase(channel).get_services()


def test_a_replaced_token_is_good_at_once_and_the_old_one_no_more_not_even_for_a_stream_that_runs(
    stream: MemoryStream, stub: Any, path: Path
) -> None:
    line = stream.line("line1")
    publish(line, "coil-1")
    watch = stub.Watch(pb.WatchRequest(line="line1"), metadata=bearer(MES), timeout=60)
    other = stub.Watch(pb.WatchRequest(line="line1"), metadata=bearer(YARD), timeout=60)
    assert next(watch).event == next(other).event != b""
    put(path, f"mes:{NEW}\nyard:{YARD}\n".encode())
    publish(line, "coil-2")
    assert refused(lambda: next(watch)) is grpc.StatusCode.UNAUTHENTICATED
    assert json.loads(next(other).event) == {"id": "coil-2"}
    assert refused(lambda: CALLS["List"](stub, bearer(MES))) is grpc.StatusCode.UNAUTHENTICATED
    assert len(CALLS["List"](stub, bearer(NEW)).verdicts) == 2


def test_a_broken_file_of_tokens_locks_nobody_out_and_its_log_holds_no_token(
    stub: Any, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for broken in (f"mes:{MES}\nmes:{NEW}", f"mes {NEW}", "", f"mes:{NEW}\nyard:short"):
            put(path, broken.encode())
            assert CALLS["List"](stub, bearer(MES)) is not None
            assert refused(lambda: CALLS["List"](stub, bearer(NEW))) is grpc.StatusCode.UNAUTHENTICATED
        path.unlink()
        assert CALLS["List"](stub, bearer(MES)) is not None
    assert caplog.text.count("not taken") == 5
    assert not any(token in caplog.text for token in (MES, NEW, YARD, "short"))


@pytest.mark.parametrize(
    "text", ["", "# none", "mes", f":{MES}", "mes:short", f"mes:{MES} x", f"mes:{MES}\nmes:{YARD}", f"a b:{MES}"]
)
def test_text_that_is_no_list_of_tokens_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(SettingsInvalid, match="tokens: expected") as caught:
        parse_tokens(text)
    assert MES not in str(caught.value)


def test_tokens_come_by_comma_or_by_line_and_only_their_hashes_are_kept() -> None:
    known = parse_tokens(f"mes:{MES}, yard:{YARD}")
    assert known == parse_tokens(f"mes:{MES}\r\nyard:{YARD}\n")
    assert list(known) == ["mes", "yard"]
    assert MES not in repr(known)
