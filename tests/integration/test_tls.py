"""gRPC over TLS, on real connections and in real processes: who is let in, who is believed, and new certificates."""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import trustme
from redis_servers import binaries, free_port
from redis_servers import server as redis_server

from certificates import put, settings, write
from stripwatch.domain.model import InputSpec, ModelKind, ModelRef, ModelSpec
from stripwatch.domain.recipe import Role
from stripwatch.errors import PeerUnavailable, SettingsInvalid, StripwatchError
from stripwatch.local import Pipeline
from stripwatch.local.feeds import simulator_settings
from stripwatch.local.ports import free_ports
from stripwatch.local.redis import EmbeddedRedis
from stripwatch.rpc import health
from stripwatch.rpc.client import SERVICES, RemoteScorer
from stripwatch.rpc.codec.models import spec_to, units_to
from stripwatch.rpc.server import GrpcServer
from stripwatch.rpc.v1 import model_pb2 as pb
from stripwatch.rpc.v1 import model_pb2_grpc as pb_grpc
from stripwatch.rpc.v1 import verdict_pb2, verdict_pb2_grpc
from stripwatch.runtime import fresh
from stripwatch.runtime.tls import TlsFiles
from stripwatch.simulate.series import StripSeries
from tiny_models import grey_tiles, write_pair

SPEC = ModelSpec(
    ModelRef("steel", "1"), ModelKind.CLASSIFIER, InputSpec(16, 1, "uint8"), ("healthy", "scratches"), "0" * 64, "e/1"
)
TILES = grey_tiles([1, 2, 3])
DOCS = Path(__file__).parents[2] / "docs"
PAST = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC))


class Classifier(pb_grpc.ClassifierServicer):
    """Answers every batch at once, but one of a single tile when it may."""

    def __init__(self) -> None:
        self.called, self.entered, self.go = threading.Event(), threading.Event(), threading.Event()

    def Describe(self, request: pb.DescribeRequest, context: Any) -> pb.DescribeResponse:  # noqa: N802, ARG002
        return spec_to(SPEC)

    def Classify(self, request: pb.ClassifyRequest, context: Any) -> pb.ClassifyResponse:  # noqa: N802, ARG002
        self.called.set()
        if request.tiles.count == 1:
            self.entered.set()
            self.go.wait(60)
        units = np.zeros((request.tiles.count, 2), dtype=np.int32)
        return pb.ClassifyResponse(model=request.model, count=len(units), classes=2, probabilities=units_to(units))


@contextmanager
def served(tls: TlsFiles | None, classifier: Classifier | None = None, port: int = 0) -> Iterator[str]:
    """The address of a classifier."""
    server = GrpcServer("127.0.0.1", port, ready=lambda: None, tls=tls)
    server.add(pb_grpc.add_ClassifierServicer_to_server, classifier or Classifier(), SERVICES[Role.CLASSIFIER])
    try:
        yield f"127.0.0.1:{server.start()}"
    finally:
        server.stop(0)


@contextmanager
def client_of(address: str, tls: TlsFiles | None) -> Iterator[RemoteScorer]:
    client = RemoteScorer(Role.CLASSIFIER, address, tls)
    try:
        yield client
    finally:
        client.close()


def scores(client: RemoteScorer) -> tuple[int, ...]:
    return client.submit(SPEC, TILES, 30).result().shape


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"{what}: not after 60 s"
        time.sleep(0.02)


def needs_openssl() -> None:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl (make system)")


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at for every call and connection, not only once a second."""
    monkeypatch.setattr(fresh, "CHECK_EVERY_S", 0.0)


def test_scores_come_over_tls_when_both_sides_show_a_certificate(ca: trustme.CA, tmp_path: Path) -> None:
    with served(write(tmp_path / "server", ca)) as address, client_of(address, write(tmp_path / "us", ca)) as client:
        assert scores(client) == (3, 2)
        assert client.ready(30) is None


def test_every_replica_of_a_list_of_addresses_is_reached_over_tls(ca: trustme.CA, tmp_path: Path) -> None:
    files = write(tmp_path / "server", ca)
    one, other = Classifier(), Classifier()
    with (
        served(files, one) as first,
        served(files, other) as second,
        client_of(f"ipv4:{first},{second}", files) as client,
    ):
        until(lambda: scores(client) == (3, 2) and one.called.is_set() and other.called.is_set(), "a call at each")


@pytest.mark.parametrize("shows", ["nothing", "a certificate of another authority", "plain text"])
def test_a_client_that_is_not_known_gets_no_answer(ca: trustme.CA, tmp_path: Path, shows: str) -> None:
    stranger = write(tmp_path / "stranger", trustme.CA(), trusts=(ca,))
    files = {"nothing": TlsFiles(stranger.ca), "plain text": None}.get(shows, stranger)
    with (
        served(write(tmp_path / "server", ca)) as address,
        client_of(address, files) as client,
        pytest.raises(PeerUnavailable, match=r"it closed the connection; it may .* ask for a certificate of ours"),
    ):
        scores(client)


def test_a_server_that_does_not_ask_serves_clients_without_a_certificate(ca: trustme.CA, tmp_path: Path) -> None:
    files = write(tmp_path / "server", ca, ask_clients=False)
    with served(files) as address, client_of(address, TlsFiles(files.ca)) as client:
        assert scores(client) == (3, 2)


@pytest.mark.parametrize(
    ("server", "word"),
    [
        ("of another authority", "its certificate is of no authority in STRIPWATCH_TLS_CA"),
        ("of another name", "its certificate is for another name than the one dialled"),
        ("expired", "its certificate has expired"),
        ("in plain text", "it speaks plain text, we speak TLS"),
    ],
)
def test_a_server_that_is_not_who_it_should_be_is_refused_in_words(
    ca: trustme.CA, tmp_path: Path, server: str, word: str
) -> None:
    us = write(tmp_path / "us", ca)
    theirs = {
        "of another authority": lambda: write(tmp_path / "server", trustme.CA(), trusts=(ca,)),
        "of another name": lambda: write(tmp_path / "server", ca, "anomaly.plant.example"),
        "expired": lambda: write(tmp_path / "server", ca, valid=PAST),
        "in plain text": lambda: None,
    }[server]()
    with served(theirs) as address, client_of(address, us) as client:
        with pytest.raises(PeerUnavailable, match=word):
            scores(client)
        assert word in (client.ready(0.5) or "")


class Calls:
    """Calls one after the other, until told to stop."""

    def __init__(self, client: RemoteScorer) -> None:
        self.failed: list[StripwatchError] = []
        self.made = 0
        self._client = client
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                scores(self._client)
            except StripwatchError as error:
                self.failed.append(error)
            self.made += 1

    def __enter__(self) -> Calls:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def go_on(self) -> None:
        """Returns when more calls have come to their end."""
        seen = self.made
        until(lambda: self.made >= seen + 5, "more calls")


def shown_by(address: str, us: TlsFiles) -> bytes:
    """The certificate that a new connection is shown."""
    context = ssl.create_default_context(cafile=us.ca)
    context.load_cert_chain(str(us.certificate), us.key)
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), 30) as plain,
        context.wrap_socket(plain, server_hostname=host) as it,
    ):
        return it.getpeercert(binary_form=True) or b""


def on_disk(files: TlsFiles) -> bytes:
    assert files.certificate
    return ssl.PEM_cert_to_DER_cert(files.certificate.read_text())


@pytest.mark.usefixtures("always_look")
def test_certificates_and_their_authority_are_replaced_while_calls_go_on_and_none_fails(
    ca: trustme.CA, tmp_path: Path
) -> None:
    successor, classifier = trustme.CA(), Classifier()
    theirs, ours = tmp_path / "server", tmp_path / "us"
    server, us = write(theirs, ca), write(ours, ca)
    old_us = write(tmp_path / "old", ca, trusts=(ca, successor))
    (port,) = free_ports(1)
    with client_of(f"127.0.0.1:{port}", us) as client:
        with served(server, classifier, port) as address:
            slow = client.submit(SPEC, TILES[:1], 60)  # under way from the first certificate to the last
            assert classifier.entered.wait(60)
            with Calls(client) as calls:
                calls.go_on()
                for folder in (theirs, ours):  # both know the new authority before anybody shows a certificate of it
                    write(folder, ca, trusts=(ca, successor))
                    calls.go_on()
                first = shown_by(address, us)
                for folder in (theirs, ours):
                    write(folder, successor, trusts=(ca, successor))
                    calls.go_on()
                for folder in (theirs, ours):
                    write(folder, successor)
                    calls.go_on()
                assert first != shown_by(address, us) == on_disk(server)
                with client_of(address, old_us) as latecomer, pytest.raises(PeerUnavailable):
                    scores(latecomer)
            classifier.go.set()
            assert slow.result().shape == (1, 2)
        with served(server, port=port):  # knows nothing of what was before, nor does it take it
            until(lambda: client.ready(1) is None, "the client that has lived through it")
            assert scores(client) == (3, 2)
    assert calls.failed == []


@pytest.mark.usefixtures("always_look")
def test_a_certificate_that_does_not_fit_its_key_is_told_once_and_the_old_one_stays(
    ca: trustme.CA, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = write(tmp_path / "server", ca)
    us = write(tmp_path / "us", ca)
    before = on_disk(files)
    assert files.certificate
    with served(files) as address:
        put(files.certificate, ca.issue_cert("localhost", "127.0.0.1").cert_chain_pems[0].bytes())
        with caplog.at_level(logging.WARNING):
            assert [shown_by(address, us) for _ in range(3)] == [before] * 3
        (told,) = [one.getMessage() for one in caplog.records if "not taken" in one.getMessage()]
        assert "own.pem" in told
        assert "own.key: expected a certificate and its key" in told
        write(tmp_path / "server", ca)
        assert shown_by(address, us) == on_disk(files) != before


@pytest.mark.parametrize("broken", ["ca", "certificate", "key"])
def test_a_server_does_not_start_with_files_that_it_cannot_use(ca: trustme.CA, tmp_path: Path, broken: str) -> None:
    files = write(tmp_path, ca)
    path: Path = getattr(files, broken)
    path.write_text("no PEM")
    with pytest.raises(SettingsInvalid, match=f"{path.name}.*: expected "):
        GrpcServer("127.0.0.1", 0, ready=lambda: None, tls=files)
    path.unlink()
    with pytest.raises(SettingsInvalid, match=f"{path.name}: No such file"):
        GrpcServer("127.0.0.1", 0, ready=lambda: None, tls=files)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(ca: trustme.CA, tmp_path: Path) -> None:
    files = write(tmp_path, ca)
    needs_openssl()
    locked = tmp_path / "locked.key"
    command = ["openssl", "pkey", "-in", str(files.key), "-aes256", "-passout", "pass:secret", "-out", str(locked)]
    subprocess.run(command, capture_output=True, check=True)
    with pytest.raises(SettingsInvalid, match=r"locked\.key: expected a certificate and its key, without a password"):
        replace(files, key=locked).read()


def test_the_health_command_of_containers_speaks_tls_as_its_service_does(ca: trustme.CA, tmp_path: Path) -> None:
    files = write(tmp_path / "server", ca)

    def probe(address: str, given: dict[str, str]) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "stripwatch.rpc.health", address]
        ended = subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True, check=False)
        return ended.returncode, ended.stdout.strip(), ended.stderr.strip()

    with served(files) as address:
        until(lambda: health.status(address, 1, pems=files.read()) == health.SERVING, "a ready server")
        assert probe(address, settings(files)) == (0, "SERVING", "")
        code, says, why = probe(address, {})
        assert (code, says) == (1, "UNREACHABLE")
        assert "ask for a certificate of ours" in why
        code, says, why = probe(address, {**settings(files), "STRIPWATCH_TLS_KEY": "/nowhere.key"})
        assert (code, says) == (2, "")
        assert "/nowhere.key: No such file" in why


def test_a_strip_goes_through_the_whole_pipeline_with_a_certificate_at_every_step(
    ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings(write(tmp_path / "all", ca)).items():
        monkeypatch.setenv(name, value)
    write_pair(tmp_path)
    series = StripSeries(3_000_000, 400.0, 400.0, 0.5, defects=(0,))
    with Pipeline(tmp_path / "redis", classifiers=2, env={"STRIPWATCH_MODELS": str(tmp_path)}) as pipeline:
        pipeline.finish(pipeline.feed(simulator_settings(series, 1, "first")), 60)
        pipeline.settle()
        (verdict,) = pipeline.line().verdicts.since("", 10, 0)
        assert b'"coverage": 1' in verdict.event.json or b'"coverage":1' in verdict.event.json
        assert health.status(pipeline.verdicts_address, 1) == health.UNREACHABLE  # in plain text


def block(page: str, heading: str, language: str, number: int = 0) -> str:
    """A fenced block of a page, below a heading."""
    text = (DOCS / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[number]


@contextmanager
def aggregator(given: dict[str, str]) -> Iterator[str]:
    """The address of an aggregator process that is ready."""
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "stripwatch_aggregator"],
        env=os.environ | {"STRIPWATCH_HEALTH_PORT": str(port)} | given,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    try:
        while '"ready"' not in (line := process.stderr.readline()):
            assert line, "the aggregator ended"
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def test_the_commands_of_the_page_make_certificates_that_both_sides_take(tmp_path: Path) -> None:
    needs_openssl()
    script = block("tls.md", "Certificates", "sh")
    subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, capture_output=True, check=True)
    server, us = (
        TlsFiles(tmp_path / "ca.pem", tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        for name in ("classifier", "preprocess")
    )
    with served(server) as address, client_of(address, us) as client:
        assert scores(client) == (3, 2)


def test_an_mes_reads_verdicts_over_tls_with_a_token_as_the_page_shows(ca: trustme.CA, tmp_path: Path) -> None:
    token = "0123456789abcdef0123456789abcdef"  # noqa: S105
    files = write(tmp_path, ca, ask_clients=False)
    (tmp_path / "token").write_text(f"{token}\n")
    (tmp_path / "tokens").write_text(f"mes:{token}\n")
    with EmbeddedRedis(tmp_path / "redis") as redis:
        given = {"STRIPWATCH_REDIS_URL": redis.url, "STRIPWATCH_TOKENS_FILE": str(tmp_path / "tokens")}
        with aggregator({**settings(files), **given}) as address:
            code = block("mes.md", "By gRPC, with a cursor", "python", 1) + LIST
            ended = subprocess.run(
                [sys.executable, "-c", f"import grpc\naddress = {address!r}\n{code}"],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert (ended.returncode, ended.stdout) == (0, "0 verdicts\n"), ended.stderr
            with grpc.secure_channel(address, grpc.ssl_channel_credentials(files.ca.read_bytes())) as channel:
                with pytest.raises(grpc.RpcError) as refused:
                    verdict_pb2_grpc.VerdictsStub(channel).List(verdict_pb2.ListRequest(line="line1"), timeout=30)
                assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


LIST = """
from stripwatch.rpc.v1 import verdict_pb2 as pb, verdict_pb2_grpc
answer = verdict_pb2_grpc.VerdictsStub(channel).List(pb.ListRequest(line="line1"), timeout=30)
print(len(answer.verdicts), "verdicts")
"""


def test_a_service_shows_its_certificate_to_a_redis_that_asks_for_one(ca: trustme.CA, tmp_path: Path) -> None:
    binary = binaries().get("7")
    if binary is None:
        pytest.skip("no Redis 7 with TLS here (make system)")
    theirs, ours = write(tmp_path / "redis", ca), write(tmp_path / "us", ca)
    port = free_port()
    options = ("--tls-port", port, "--tls-auth-clients", "yes", "--tls-ca-cert-file", theirs.ca)
    own = ("--tls-cert-file", theirs.certificate, "--tls-key-file", theirs.key)
    given = {
        "STRIPWATCH_REDIS_URL": f"rediss://127.0.0.1:{port}",
        "STRIPWATCH_REDIS_CA": str(ours.ca),
        "STRIPWATCH_REDIS_CERTIFICATE": str(ours.certificate),
        "STRIPWATCH_REDIS_KEY": str(ours.key),
    }
    with redis_server(binary, tmp_path / "redis", *map(str, (*options, *own))), aggregator(given) as address:
        assert health.status(address, 30) == health.SERVING
