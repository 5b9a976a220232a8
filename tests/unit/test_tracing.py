"""Traces: off by default, a share of frames, and spans as a collector gets them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

import certificates
from certificates import write
from stripwatch.domain.frame import RunId
from stripwatch.errors import SettingsInvalid
from stripwatch.local.ports import free_ports
from stripwatch.ports import Entry, Kind
from stripwatch.runtime import tracing
from stripwatch.runtime.logging import JsonFormatter
from stripwatch.runtime.settings import ServiceSettings, load
from stripwatch.runtime.tracing import NOTHING
from trace_collector import Collector, collector, tracing_into

CONTEXT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RUN = RunId("line1", "s1", "r1")


def settings(endpoint: str, sample: float = 1.0) -> ServiceSettings:
    return load(ServiceSettings, traces_endpoint=endpoint, traces_sample=sample)


@pytest.fixture
def into() -> Iterator[Collector]:
    """A collector that this process sends all of its traces to."""
    with tracing_into("test") as found:
        yield found


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (CONTEXT, CONTEXT),
        (CONTEXT[:-2] + "03", CONTEXT),  # the other flags are none of ours
        ("cc" + CONTEXT[2:] + "-what later versions add", CONTEXT),
        (CONTEXT[:-2] + "00", ""),  # of a trace that nobody takes
        (CONTEXT + "-more", ""),
        (CONTEXT.upper(), ""),
        ("ff" + CONTEXT[2:], ""),
        ("00-" + "0" * 32 + CONTEXT[35:], ""),
        (CONTEXT[:36] + "0" * 16 + "-01", ""),
        (CONTEXT[:-1], ""),
        ("", ""),
    ],
)
def test_a_traceparent_is_read_as_w3c_says_and_anything_else_as_none(written: str, read: str) -> None:
    assert tracing.traceparent(written) == read
    assert tracing.traceparent(written.encode()) == read


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_whatever_stands_in_its_place_does_no_harm(written: bytes | str) -> None:
    found = tracing.traceparent(written)
    assert found == "" or tracing.traceparent(found) == found


def test_nothing_is_taken_and_opentelemetry_not_loaded_unless_a_collector_is_named() -> None:
    code = """
import sys
from stripwatch.runtime import tracing
from stripwatch.runtime.settings import ServiceSettings, load
tracing.configure("ingest", load(ServiceSettings))
assert not tracing.is_on() and not tracing.is_sampled()
assert tracing.begin("x") is tracing.NOTHING
assert tracing.follow("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x") is tracing.NOTHING
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={})


def test_without_its_packages_a_collector_is_refused_with_the_name_of_the_extra() -> None:
    code = """
import sys
sys.modules["opentelemetry"] = None
from stripwatch.runtime import tracing
from stripwatch.runtime.lifecycle import main
from stripwatch.runtime.settings import ServiceSettings, load
main(lambda: tracing.configure("ingest", load(ServiceSettings)))
"""
    env = {"STRIPWATCH_TRACES_ENDPOINT": "http://127.0.0.1:4317"}
    ended = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == SettingsInvalid.exit_code
    assert "STRIPWATCH_TRACES_ENDPOINT: expected the packages of the extra `tracing`" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("endpoint", ["localhost:4317", "http://localhost", "http://h:1/v1/traces", "grpc://h:4317"])
def test_an_address_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(SettingsInvalid, match="STRIPWATCH_TRACES_ENDPOINT: expected http://HOST:PORT or https"):
        settings(endpoint)


def test_traces_leave_this_machine_in_plain_text_only_where_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsInvalid, match=r"STRIPWATCH_TRACES_ENDPOINT: expected a loopback address.*collector"):
        settings("http://collector:4317")
    settings("https://collector:4317")
    monkeypatch.setenv("STRIPWATCH_PLAINTEXT", "allowed")
    settings("http://collector:4317")


def test_spans_come_with_their_parents_links_and_facts(into: Collector) -> None:
    root = tracing.begin("publish frames", tracing.SpanKind.PRODUCER, facts=tracing.of_run(RUN), at_ns=5)
    other = tracing.begin("other")
    part = tracing.follow(root.context, "process frames", tracing.SpanKind.CONSUMER, links=[other.context])
    part.note({"stripwatch.tiles": 12})
    part.end("the model refused it", at_ns=2**62)
    root.end()
    other.end()
    tracing.close()
    (first,), (second,), (third,) = into.spans("publish frames"), into.spans("process frames"), into.spans("other")
    assert root.context == f"00-{first.trace}-{first.id}-01"
    assert (first.service, first.kind, first.parent, first.began_ns) == ("stripwatch-test", "producer", "", 5)
    assert first.facts == {"stripwatch.line": "line1", "stripwatch.strip": "s1", "stripwatch.run": "r1"}
    assert (second.kind, second.trace, second.parent) == ("consumer", first.trace, first.id)
    assert second.links == ((third.trace, third.id),)
    assert (second.facts, second.fault, second.ended_ns) == (
        {"stripwatch.tiles": 12},
        "the model refused it",
        2**62,
    )
    assert third.trace != first.trace


def test_a_span_that_never_ends_is_not_sent(into: Collector) -> None:
    dropped = tracing.begin("dropped")
    with dropped.child("kept"):
        pass
    tracing.close()
    assert [one.name for one in into.spans()] == ["kept"]


def test_a_block_that_raises_leaves_a_faulty_span(into: Collector) -> None:
    with pytest.raises(ValueError, match="too dark"), tracing.begin("cut"):
        raise ValueError("too dark")
    tracing.close()
    assert into.spans("cut")[0].fault == "ValueError: too dark"


def test_an_entry_is_described_as_the_conventions_for_messaging_say(into: Collector) -> None:
    entry = Entry("7-0", Kind.FRAME, RUN, b"head", b"pixels", 2, CONTEXT)
    tracing.taken("process", "frames", entry, "preprocess", "worker-1").end()
    tracing.close()
    (found,) = into.spans("process frames")
    assert (found.kind, f"00-{found.trace}-{found.parent}-01") == ("consumer", CONTEXT)
    assert {key: value for key, value in found.facts.items() if key.startswith("messaging.")} == {
        "messaging.system": "redis",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "sw:{line1}:frames",
        "messaging.destination.template": "sw:{LINE}:frames",
        "messaging.message.id": "7-0",
        "messaging.message.body.size": 10,
        "messaging.consumer.group.name": "preprocess",
        "messaging.client.id": "worker-1",
    }
    assert not tracing.taken("process", "frames", Entry("7-1", Kind.FRAME, RUN, b""), "preprocess", "worker-1")


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 1000)])
def test_the_share_of_frames_is_kept_to(into: Collector, share: float, expected: int) -> None:
    tracing.configure("test", settings(into.endpoint, share))
    assert sum(tracing.is_sampled() for _ in range(1000)) == expected


def test_logs_name_the_trace_of_the_work_they_are_of(into: Collector) -> None:
    def line() -> dict[str, str]:
        return dict(json.loads(JsonFormatter("test").format(logging.makeLogRecord({"msg": "x"}))))

    with tracing.begin("cut") as span:
        inside = line()
    assert (inside["trace_id"], inside["span_id"]) == tracing.ids(span.context)
    assert not {"trace_id", "span_id"} & line().keys()
    with NOTHING.here(), NOTHING:
        assert not {"trace_id", "span_id"} & line().keys()


def test_a_collector_that_is_away_is_told_of_once_and_holds_up_no_end(caplog: pytest.LogCaptureFixture) -> None:
    tracing.configure("test", settings(f"http://127.0.0.1:{free_ports(1)[0]}"))
    for _ in range(20_000):
        tracing.begin("x").end()
    tracing.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.records[0].getMessage() == "traces are lost: the collector does not take them"


def test_over_tls_traces_go_by_the_authorities_and_with_the_certificate_of_the_service_as_they_are_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = trustme.CA(), trustme.CA()
    served = write(tmp_path / "collector", first, trusts=(first,))
    own = write(tmp_path / "service", second, trusts=(first,))  # of an authority that the collector does not know
    for name, value in certificates.settings(own).items():
        monkeypatch.setenv(name, value)
    with collector(served) as found:
        tracing.configure("test", settings(found.endpoint))
        write(tmp_path / "service", first)

        def came(found: Collector) -> bool:
            tracing.begin("x").end()
            return bool(found.spans("x"))

        found.wait_for(came, "a span, once the certificate is one that the collector knows")
        tracing.close()
    with collector(write(tmp_path / "stranger", second, trusts=(first,))) as stranger:
        tracing.configure("test", settings(stranger.endpoint))
        tracing.begin("x").end()
        tracing.close()
        assert stranger.spans() == []
