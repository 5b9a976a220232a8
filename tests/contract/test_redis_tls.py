"""TLS to Redis, on the real server. Only Debian's 7.0 is built with it; the 8.2 of the `demo` extra is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from redis_servers import binaries, free_port, running, server, spawned, wait_for

from stripwatch.domain.frame import RunId
from stripwatch.errors import BadInput, StreamUnavailable
from stripwatch.ports import Kind, Outgoing
from stripwatch.stream import RedisTls, connect


@dataclass(frozen=True)
class Papers:
    """Certificate files of one plant, and the authority of another."""

    ca: Path
    certificate: Path
    key: Path
    other_ca: Path

    def options(self, port: int) -> list[str]:
        """Of a server that takes TLS on a port."""
        files = ("--tls-cert-file", self.certificate, "--tls-key-file", self.key, "--tls-ca-cert-file", self.ca)
        return [str(part) for part in ("--tls-port", port, *files)]


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    plant, other = trustme.CA(), trustme.CA()
    issued = plant.issue_cert("127.0.0.1", "localhost")
    found = Papers(*(folder / name for name in ("ca.pem", "server.pem", "server.key", "other.pem")))
    plant.cert_pem.write_to_path(str(found.ca))
    other.cert_pem.write_to_path(str(found.other_ca))
    issued.cert_chain_pems[0].write_to_path(str(found.certificate))
    issued.private_key_pem.write_to_path(str(found.key))
    return found


@pytest.fixture(scope="module", params=["no", "yes"], ids=["tls", "mutual-tls"])
def secured(
    request: pytest.FixtureRequest, papers: Papers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, bool]]:
    """The address of a server, and whether it asks clients for a certificate."""
    binary = binaries().get("7")
    if binary is None:
        pytest.skip("no Redis 7 with TLS here (make system)")
    port = free_port()
    with server(binary, tmp_path_factory.mktemp("redis"), *papers.options(port), "--tls-auth-clients", request.param):
        yield f"rediss://127.0.0.1:{port}", request.param == "yes"


def test_frames_go_over_tls_and_a_server_that_asks_gets_a_certificate(
    secured: tuple[str, bool], papers: Papers
) -> None:
    url, mutual = secured
    own = (papers.certificate, papers.key) if mutual else (None, None)
    stream = connect(url, tls=RedisTls(papers.ca, *own))
    line = stream.line("line1")
    run = RunId("line1", "s1", f"mutual-{mutual}")
    line.source.start_run(run, b"start", cameras=["top"], live=False, deadline_ms=1000)
    line.source.publish([Outgoing(Kind.FRAME, run, b"h", b"p")])
    assert [entry.kind for entry in line.frames.read("w", 10, 0)] == [Kind.START, Kind.FRAME]
    stream.close()


def test_a_server_signed_by_a_stranger_is_not_talked_to(secured: tuple[str, bool], papers: Papers) -> None:
    url, _ = secured
    with pytest.raises(StreamUnavailable, match="certificate verify failed"):
        connect(url, tls=RedisTls(papers.other_ca, papers.certificate, papers.key)).ping()
    with pytest.raises(StreamUnavailable, match="certificate verify failed"):
        connect(url).ping()  # with the system's authorities


def test_files_are_read_again_for_a_new_connection(secured: tuple[str, bool], papers: Papers, tmp_path: Path) -> None:
    url, _ = secured
    ca = tmp_path / "ca.pem"
    ca.write_bytes(papers.ca.read_bytes())
    stream = connect(url, tls=RedisTls(ca, papers.certificate, papers.key))
    stream.ping()
    stream.close()
    ca.write_bytes(papers.other_ca.read_bytes())
    with pytest.raises(StreamUnavailable, match="certificate verify failed"):
        stream.ping()


def test_a_certificate_of_another_host_is_not_taken(secured: tuple[str, bool], papers: Papers) -> None:
    url, _ = secured
    with pytest.raises(StreamUnavailable, match=r"127\.0\.0\.2"):
        connect(url.replace("127.0.0.1", "127.0.0.2"), tls=RedisTls(papers.ca, papers.certificate, papers.key)).ping()


def test_without_a_certificate_a_server_that_asks_for_one_is_unavailable(
    secured: tuple[str, bool], papers: Papers
) -> None:
    url, mutual = secured
    if not mutual:
        connect(url, tls=RedisTls(papers.ca)).ping()
        return
    with pytest.raises(StreamUnavailable, match=r"certificate required|reset|closed|EOF"):
        connect(url, tls=RedisTls(papers.ca)).ping()


def test_plain_words_to_a_tls_port_are_unavailable(secured: tuple[str, bool]) -> None:
    with pytest.raises(StreamUnavailable):
        connect(secured[0].replace("rediss", "redis"), timeout_s=1.0).ping()


def test_files_that_are_no_use_are_named_before_anything_connects(papers: Papers, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nowhere\.pem"):
        RedisTls(tmp_path / "nowhere.pem")
    with pytest.raises(BadInput, match="one of the two"):
        RedisTls(papers.ca, papers.certificate)
    with pytest.raises(BadInput, match=r"ca\.pem"):
        RedisTls(papers.ca, papers.certificate, papers.ca)
    with pytest.raises(BadInput, match="rediss"):
        connect("redis://127.0.0.1", tls=RedisTls(papers.ca))


@pytest.fixture
def binary() -> str:
    found = binaries().get("7")
    if found is None:
        pytest.skip("no Redis 7 with TLS here (make system)")
    return found


def test_a_cluster_is_spoken_to_over_tls(binary: str, papers: Papers, tmp_path: Path) -> None:
    port = free_port()
    options = ("--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-port", str(free_port()))
    with running(binary, tmp_path, *papers.options(port), *options) as node:
        node.client().execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        wait_for(lambda: node.client().cluster("INFO")["cluster_state"] == "ok", "the cluster")
        with pytest.raises(StreamUnavailable, match="certificate"):
            connect(f"rediss-cluster://127.0.0.1:{port}", tls=RedisTls(papers.other_ca))
        own = RedisTls(papers.ca, papers.certificate, papers.key)
        connect(f"rediss-cluster://127.0.0.1:{port}", tls=own).line("line1")


def test_sentinels_and_their_primary_are_spoken_to_over_tls(binary: str, papers: Papers, tmp_path: Path) -> None:
    port, sentinel_port, plain = free_port(), free_port(), free_port()
    conf = tmp_path / "sentinel.conf"
    conf.write_text(f"port {plain}\nsentinel monitor steel 127.0.0.1 {port} 1\n")
    with ExitStack() as stack:
        stack.enter_context(running(binary, tmp_path, *papers.options(port)))
        watch = (str(conf), "--sentinel", "--tls-replication", "yes", *papers.options(sentinel_port))
        stack.enter_context(spawned([binary, *watch], plain))
        own = RedisTls(papers.ca, papers.certificate, papers.key)
        connect(f"rediss-sentinel://127.0.0.1:{sentinel_port}/steel", tls=own).line("line1")
        with pytest.raises(StreamUnavailable):
            connect(f"rediss-sentinel://127.0.0.1:{sentinel_port}/steel", tls=RedisTls(papers.other_ca)).ping()
