"""Traces of a strip through real processes, as a collector gets them over OTLP.

The OpenTelemetry collector itself is not to be had here: what stands for it speaks its protocol.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from e2e_parts import Start, until
from stripwatch.domain.frame import RunId
from stripwatch.local import Pipeline
from stripwatch.local.feeds import folder_settings
from stripwatch.local.ports import free_ports
from stripwatch.rpc.v1.verdict_pb2 import StripVerdict
from trace_collector import Collector, Seen, collector

FRAMES = 10
RUN = RunId("line1", "coil-7", "r1")


@pytest.fixture
def taken() -> Iterator[Collector]:
    with collector() as found:
        yield found


def traced(endpoint: str, sample: float) -> dict[str, str]:
    return {"STRIPWATCH_TRACES_ENDPOINT": endpoint, "STRIPWATCH_TRACES_SAMPLE": str(sample)}


def inspect(start: Start, strip: Path, ingest: dict[str, str], others: dict[str, str]) -> bytes:
    """One strip through a pipeline; what its verdict says, but for when it was made and the source's clock."""
    pipeline = start(settings=others)
    pipeline.finish(pipeline.feed({**folder_settings(strip, RUN.strip, RUN.run), **ingest}), 60.0)
    pipeline.verdict(RUN)
    return verdict_bytes(pipeline)


def verdict_bytes(pipeline: Pipeline) -> bytes:
    verdict = StripVerdict.FromString(pipeline.verdict(RUN).event.body)
    for moment in ("started_at_ns", "decided_at_ns"):
        verdict.ClearField(moment)
    return verdict.SerializeToString(deterministic=True)


def all_below(found: Collector, parent: Seen, name: str) -> list[Seen]:
    return [one for one in found.spans(name) if (one.trace, one.parent) == (parent.trace, parent.id)]


def below(found: Collector, parent: Seen, name: str) -> Seen:
    (span,) = all_below(found, parent, name)
    return span


def test_the_trace_of_every_frame_leads_from_its_source_to_its_run_and_on_to_the_verdict(
    start: Start, bright_strip: Path, taken: Collector
) -> None:
    settings = traced(taken.endpoint, 1.0)
    inspect(start, bright_strip, settings, settings)
    taken.wait_for(are_whole, "all spans of all services")
    batches = {(one.trace, one.id): one for one in taken.spans("batch")}
    sent = taken.spans("publish frames", "ingest", entry="frame")
    assert sorted(one.facts["stripwatch.frame"] for one in sent) == list(range(FRAMES))
    assert len({one.trace for one in sent}) == FRAMES
    for first in sent:
        assert (first.kind, first.parent) == ("producer", "")
        worked = below(taken, first, "process frames")
        assert (worked.service, worked.kind) == ("stripwatch-preprocess", "consumer")
        assert below(taken, worked, "cut").fault == ""
        models = below(taken, worked, "models")
        (batch,) = [batches[link] for link in models.links]
        assert (models.trace, models.id) in batch.links
        result = below(taken, worked, "publish results")
        recorded = below(taken, result, "record results")
        assert (recorded.service, recorded.kind) == ("stripwatch-aggregator", "consumer")
        assert recorded.facts["stripwatch.recorded"] == "new"
    assert sum(one.facts["stripwatch.frames"] for one in batches.values()) == FRAMES
    for batch in batches.values():
        for service, method in (("classifier", "Classifier/Classify"), ("anomaly", "AnomalyScorer/Score")):
            asked = below(taken, batch, f"stripwatch.rpc.v1.{method}")
            answered = below(taken, asked, f"stripwatch.rpc.v1.{method}")
            assert (asked.kind, answered.kind) == ("client", "server")
            assert answered.service == f"stripwatch-{service}"
            assert answered.facts["rpc.response.status_code"] == asked.facts["rpc.response.status_code"] == "OK"
            runs = all_below(taken, answered, "run engine")
            assert sum(one.facts["stripwatch.tiles"] for one in runs) == batch.facts["stripwatch.tiles"]
    the_run_is_one_trace(taken, sent)


def are_whole(taken: Collector) -> bool:
    """Each service sends its spans when it likes: whether all came that are looked at."""
    entries = FRAMES + 2
    expected = {"publish frames": entries, "process frames": entries, "publish results": entries}
    expected |= {"record results": entries, "models": FRAMES, "cut": FRAMES, "run": 1, "conclude": 1}
    calls = [sum(one.kind == kind for one in taken.spans()) for kind in ("client", "server")]
    run, sent = (sum(one.facts["stripwatch.tiles"] for one in taken.spans(name)) for name in ("run engine", "batch"))
    counts = {name: len(taken.spans(name)) for name in expected}
    return counts == expected and calls == [2 * len(taken.spans("batch"))] * 2 and run == 2 * sent


def the_run_is_one_trace(taken: Collector, frames: list[Seen]) -> None:
    (run,) = taken.spans("run", "ingest")
    assert all(first.links == ((run.trace, run.id),) for first in frames)
    (begun,) = [one for one in taken.spans("publish frames", "ingest") if one.facts["stripwatch.entry"] == "start"]
    (ended,) = [one for one in taken.spans("publish frames", "ingest") if one.facts["stripwatch.entry"] == "end"]
    for marker in (begun, ended):
        assert (marker.trace, marker.parent) == (run.trace, run.id)
        worked = below(taken, marker, "process frames")
        assert below(taken, below(taken, worked, "publish results"), "record results").service.endswith("aggregator")
    (verdict,) = taken.spans("conclude", "aggregator")
    assert (verdict.trace, verdict.parent) == (run.trace, begun.id)
    assert {trace for trace, _ in verdict.links} == {first.trace for first in frames}
    assert verdict.facts["stripwatch.strip"] == RUN.strip
    assert verdict.facts["stripwatch.frames"] == FRAMES


def test_logs_of_all_services_hold_the_same_fields_and_the_verdicts_its_trace(
    start: Start, bright_strip: Path, tmp_path: Path, taken: Collector
) -> None:
    settings = {**traced(taken.endpoint, 1.0), "STRIPWATCH_LOG_FORMAT": "json"}
    inspect(start, bright_strip, settings, settings)
    log = tmp_path / "services.log"
    until(lambda: '"verdict"' in log.read_text(), "the verdict's line")
    pairs = [line.partition("|")[::2] for line in log.read_text().splitlines()]
    told = [json.loads(text) for name, text in pairs if not name.startswith("redis")]
    about = {"line": RUN.line, "strip": RUN.strip, "run": RUN.run}
    (begun,) = [one for one in told if one["message"] == "run starts"]
    (ended,) = [one for one in told if one["message"] == "verdict"]
    alarms = [one for one in told if one["message"] == "alarm"]
    for one in (begun, ended, *alarms):
        assert {key: one[key] for key in about} == about
    assert (begun["service"], ended["service"]) == ("ingest", "aggregator")
    assert alarms
    assert (ended["disposition"], ended["frames"], ended["lost"]) == ("reject", FRAMES, 0)
    taken.wait_for(are_whole, "all spans of all services")
    (verdict,) = taken.spans("conclude")
    assert (ended["trace_id"], ended["span_id"]) == (verdict.trace, verdict.id)
    traces = {one.facts["stripwatch.frame"]: one.trace for one in taken.spans("publish frames", entry="frame")}
    assert all((one["camera"], one["trace_id"]) == ("top-1", traces[one["frame"]]) for one in alarms)
    assert {one["service"] for one in told} == {"ingest", "preprocess", "classifier", "anomaly", "aggregator"}


def test_with_a_share_of_none_only_the_run_itself_is_taken_and_its_verdict_is_the_same(
    start: Start, bright_strip: Path, taken: Collector
) -> None:
    settings = traced(taken.endpoint, 0.0)
    plain = inspect(start, bright_strip, {}, {})
    assert taken.spans() == []
    assert inspect(start, bright_strip, settings, settings) == plain
    taken.wait_for(lambda all_: len(all_.spans("conclude")) == 1, "the verdict's span")
    assert taken.spans("publish frames", entry="frame") == []
    assert {one.trace for one in taken.spans()} == {taken.spans("run")[0].trace}
    everything = traced(taken.endpoint, 1.0)
    assert inspect(start, bright_strip, everything, everything) == plain


def test_services_that_take_no_traces_hand_on_those_of_others(
    start: Start, bright_strip: Path, taken: Collector
) -> None:
    """As where some were updated before others: only ingest and the aggregator take them."""
    settings = traced(taken.endpoint, 1.0)
    pipeline = start()
    pipeline.supervisor.stop(["aggregator"], 10.0)
    spec = pipeline.plan.spec("aggregator")
    pipeline.supervisor.start(replace(spec, env={**spec.env, **settings}))
    pipeline.finish(pipeline.feed({**folder_settings(bright_strip, RUN.strip, RUN.run), **settings}), 60.0)
    pipeline.verdict(RUN)
    taken.wait_for(lambda all_: len(all_.spans("record results", entry="result")) == FRAMES, "every frame's last span")
    for first in taken.spans("publish frames", entry="frame"):
        assert below(taken, first, "record results").facts["stripwatch.recorded"] == "new"
    taken.wait_for(lambda all_: len(all_.spans("conclude")) == 1, "the verdict's span")


def test_a_collector_that_is_away_loses_nothing_but_traces_and_is_told_of_once(
    start: Start, bright_strip: Path, tmp_path: Path
) -> None:
    settings = traced(f"http://127.0.0.1:{free_ports(1)[0]}", 1.0)
    plain = inspect(start, bright_strip, {}, {})
    assert inspect(start, bright_strip, settings, settings) == plain
    log = tmp_path / "services.log"
    away = "traces are lost: the collector does not take them"

    def told() -> list[str]:
        return sorted(line.split()[0] for line in log.read_text().splitlines() if away in line)

    until(lambda: {"preprocess-1", "aggregator"} <= set(told()), "the warnings")
    assert len(told()) == len(set(told()))
