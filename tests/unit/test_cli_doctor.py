"""The doctor: what is well, what is wrong, and what to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stripwatch.cli.findings import Level
from stripwatch.cli.line_checks import line_findings, service_findings
from stripwatch.cli.model_checks import model_findings
from stripwatch.cli.redis_checks import RedisFacts, redis_findings
from stripwatch.domain.frame import RunId
from stripwatch.ports import Done, Kind, LineState, LineStream, Outgoing
from stripwatch.stream.memory import MemoryStream
from tiny_models import write_model

GOOD = RedisFacts("7.0.15", "noeviction", 10 << 20, 512 << 20, True, "everysec", "")
RUN = RunId("line1", "coil", "r1")


@pytest.fixture
def line() -> LineStream:
    return MemoryStream().line("line1")


def levels(facts: RedisFacts) -> dict[str, Level]:
    return {one.what: one.level for one in redis_findings(facts)}


def test_a_good_redis_is_well() -> None:
    assert set(levels(GOOD).values()) == {Level.OK}


@pytest.mark.parametrize(
    ("facts", "what", "level"),
    [
        (replace(GOOD, version="6.2.14"), "Redis version", Level.FAIL),
        (replace(GOOD, policy="allkeys-lru"), "eviction", Level.FAIL),
        (replace(GOOD, functions="NOPERM"), "Redis functions", Level.FAIL),
        (replace(GOOD, limit=0), "memory", Level.WARN),
        (replace(GOOD, used=400 << 20), "memory", Level.WARN),
        (replace(GOOD, aof=False), "persistence", Level.WARN),
        (replace(GOOD, appendfsync="no"), "persistence", Level.WARN),
        (replace(GOOD, appendfsync=""), "persistence", Level.OK),
        (replace(GOOD, appendfsync="always"), "persistence", Level.OK),
        (replace(GOOD, version="8.2.3"), "Redis version", Level.OK),
    ],
)
def test_each_fault_of_a_redis_is_found(facts: RedisFacts, what: str, level: Level) -> None:
    assert levels(facts)[what] is level


def test_every_finding_that_is_not_well_says_what_to_do() -> None:
    bad = RedisFacts("5.0", "volatile-lru", 1, 0, False, "", "no")
    assert all(one.advice for one in redis_findings(bad) if one.level is not Level.OK)


def test_an_idle_line_without_workers_is_a_warning(line: LineStream) -> None:
    found = {one.what: one for one in line_findings(line)}
    assert found["line1: preprocess"].level is Level.WARN
    assert found["line1: dead letters"].level is Level.OK
    line.beats.beat("preprocess", "w1", 10_000)
    assert {one.what: one for one in line_findings(line)}["line1: preprocess"].level is Level.OK


def test_frames_that_wait_for_nobody_are_a_fault(line: LineStream) -> None:
    line.source.start_run(RUN, b"", cameras=["top-1"], live=False, deadline_ms=1000)
    found = {one.what: one for one in line_findings(line)}
    assert found["line1: preprocess"].level is Level.FAIL
    assert "1 entries wait" in found["line1: preprocess"].says


def test_dead_letters_are_told_with_their_reason(line: LineStream) -> None:
    line.source.start_run(RUN, b"", cameras=["top-1"], live=False, deadline_ms=1000)
    line.source.publish([Outgoing(Kind.FRAME, RUN, b"x", b"y")])
    frame = line.frames.read("w1", 10, 0)[-1]
    line.work.bury(Done(frame.id, Kind.RESULT, RUN, b"failed"), "no image")
    found = {one.what: one for one in line_findings(line)}
    assert found["line1: dead letters"].level is Level.WARN
    assert "no image" in found["line1: dead letters"].says


def test_a_paused_line_is_told(line: LineStream) -> None:
    line.source.set_state(LineState.PAUSED)
    state = next(one for one in line_findings(line) if one.what == "line1: state")
    assert state.level is Level.WARN
    assert "resume" in state.advice


def test_a_service_that_is_not_serving_fails() -> None:
    answers = {"a:1": "SERVING", "b:2": "NOT_SERVING"}
    good, bad = service_findings({"classifier-1": "a:1", "anomaly": "b:2"}, answers.__getitem__)
    assert good.level is Level.OK
    assert bad.level is Level.FAIL
    assert "NOT_SERVING at b:2" in bad.says


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_model(tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRIPWATCH_MODELS", str(tmp_path / "models"))
    return tmp_path


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_models_are_checked_on_the_engine_that_services_would_take(
    models: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setenv("STRIPWATCH_ENGINE", engine)
    (found,) = model_findings()
    assert (found.what, found.level) == ("model steel/1", Level.OK)
    assert f"hashes and self-test hold on {engine}/" in found.says


def test_an_engine_file_with_a_fault_is_named_and_no_model_is_blamed(models: Path) -> None:
    (models / "var").mkdir()
    (models / "var" / "engine.json").write_text("{}", encoding="utf-8")
    (found,) = model_findings()
    assert (found.what, found.level) == ("engine", Level.FAIL)
    assert found.says.startswith("var/engine.json: format: ")
    assert "stripwatch models measure --write" in found.advice
