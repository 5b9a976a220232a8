"""The page of metrics of real processes, as Prometheus reads it: what was done is what is counted."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trustme
from redis_servers import free_port, wait_for

import certificates
from metrics_page import LONG_S, read, scraped, value
from preprocess_process import Results, line_on_redis, send, service, start, worker_settings
from stripwatch.domain.recipe import Role
from stripwatch.local.services import Plan
from stripwatch.rpc.client import RemoteScorer
from stripwatch.rpc.health import status
from tiny_models import grey_tiles, write_model


@contextmanager
def classifier(models: Path, **settings: object) -> Iterator[str]:
    """The address of a classifier process that is ready."""
    port = free_port()
    with service("classifier", models=models, health_port=port, engine_workers=1, **settings):
        wait_for(lambda: status(f"127.0.0.1:{port}", 1.0) == "SERVING", "readiness", LONG_S)
        yield f"127.0.0.1:{port}"


def test_what_a_classifier_counts_is_what_it_was_asked(tmp_path: Path) -> None:
    write_model(tmp_path)
    page = free_port()
    with classifier(tmp_path, metrics_port=page, max_batch=16) as address:
        with closing(RemoteScorer(Role.CLASSIFIER, address)) as client:
            spec = client.describe("steel", LONG_S)
            assert value(scraped(page), "engine_run_seconds_count", model="steel/1") == 0
            for tiles in (1, 5, 40):  # the last in runs of 14, 13 and 13
                client.submit(spec, grey_tiles([0] * tiles), LONG_S).result()
        samples = scraped(page)
    assert value(samples, "engine_batch_tiles_count", model="steel/1") == 5
    assert value(samples, "engine_batch_tiles_sum", model="steel/1") == 46
    upto = {le: value(samples, "engine_batch_tiles_bucket", model="steel/1", le=f"{le}.0") for le in (1, 4, 8, 16)}
    assert upto == {1: 1, 4: 1, 8: 2, 16: 5}
    assert value(samples, "engine_run_seconds_count", model="steel/1") == 5
    assert value(samples, "engine_run_seconds_sum", model="steel/1") > 0
    assert value(samples, "engine_queue_seconds_count", model="steel/1") == 3
    assert value(samples, "engine_queue_seconds_sum", model="steel/1") > 0


def test_what_a_worker_counts_as_sent_is_what_its_classifier_counts_as_run(tmp_path: Path) -> None:
    write_model(tmp_path / "models")
    ours, theirs, frames = free_port(), free_port(), 20
    with line_on_redis(tmp_path) as line, classifier(tmp_path / "models", metrics_port=theirs) as address:
        settings = worker_settings(tmp_path, int(address.rpartition(":")[2]))
        with service("preprocess", **settings, metrics_port=ours):
            results = Results(line)
            start(line)
            send(line, 0, frames)
            wait_for(lambda: results.count() >= frames, f"{frames} results", LONG_S)
            sent, run = scraped(ours), scraped(theirs)
    tiles = sum(len(result.tiles) for result in results.found)
    assert value(sent, "request_tiles_sum", model="steel/1") == tiles > 0
    assert value(run, "engine_batch_tiles_sum", model="steel/1") == tiles
    requests = value(sent, "request_tiles_count", model="steel/1")
    assert (
        value(sent, "batch_wait_seconds_count") == requests == value(run, "engine_queue_seconds_count", model="steel/1")
    )
    assert value(sent, "batch_wait_seconds_sum") > 0
    assert value(sent, "requests_total", service="classifier", code="OK") == requests
    assert value(run, "served_requests_total", method="stripwatch.rpc.v1.Classifier/Classify", code="OK") == requests
    assert value(sent, "request_seconds_count", service="classifier") == requests
    assert value(sent, "request_retries_total", service="classifier") == 0


@pytest.mark.parametrize("name", ["ingest", "preprocess", "classifier", "anomaly", "aggregator"])
def test_a_service_whose_port_of_metrics_is_taken_ends_with_one_line(name: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with service(name, metrics_port=port, log_level="ERROR") as process:
            _, errors = process.communicate(timeout=LONG_S)
    assert process.returncode == 1
    assert errors == f"cannot serve metrics on port {port} of 127.0.0.1: Address already in use\n"


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[str, Path, trustme.CA]]:
    """A classifier whose page is shown over TLS: its address, the folder of its certificate, and who issued that."""
    ca, page = trustme.CA(), free_port()
    files = certificates.write(tmp_path / "tls", ca)
    given = {name.removeprefix("STRIPWATCH_").lower(): text for name, text in certificates.settings(files).items()}
    write_model(tmp_path / "models")
    with service("classifier", models=tmp_path / "models", metrics_port=page, **given):
        yield f"127.0.0.1:{page}/metrics", tmp_path / "tls", ca


def client_of(folder: Path, *, shows: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    if shows:
        context.load_cert_chain(folder / "own.pem", folder / "own.key")
    return context


def test_with_tls_the_page_is_for_those_with_a_certificate_and_nobody_holds_it_up(
    secured: tuple[str, Path, trustme.CA],
) -> None:
    address, folder, _ = secured
    known = client_of(folder)
    assert "stripwatch_engine_run_seconds" in read(f"https://{address}", known)
    host, _, port = address.partition("/")[0].rpartition(":")
    with socket.create_connection((host, int(port))):  # that never says a word
        assert "stripwatch_engine_run_seconds" in read(f"https://{address}", known)
    with pytest.raises(OSError, match="certificate required"):
        read(f"https://{address}", client_of(folder, shows=False))
    with pytest.raises(OSError, match=r"reset|closed|disconnect|ended"):
        read(f"http://{address}")


def test_the_page_shows_and_takes_certificates_of_a_new_authority_without_a_restart(
    secured: tuple[str, Path, trustme.CA], tmp_path: Path
) -> None:
    address, folder, ca = secured
    successor = trustme.CA()
    certificates.write(tmp_path / "old", ca, trusts=(ca, successor))
    assert "stripwatch_engine_run_seconds" in read(f"https://{address}", client_of(tmp_path / "old"))
    certificates.write(folder, successor)

    def taken(context: ssl.SSLContext) -> bool:
        try:
            return bool(read(f"https://{address}", context))
        except OSError:
            return False

    wait_for(lambda: taken(client_of(folder)), "the new certificate", LONG_S)
    assert not taken(client_of(tmp_path / "old"))


def test_of_services_started_together_none_takes_the_port_meant_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPWATCH_METRICS_PORT", "9100")
    addresses = {"classifier-1": "127.0.0.1:1", "classifier-2": "127.0.0.1:2"}
    plan = Plan("redis://127.0.0.1:6379", ("line1",), addresses, {})
    assert [plan.spec(name).env["STRIPWATCH_METRICS_PORT"] for name in addresses] == ["0", "0"]
