"""`stripwatch models measure`: each engine in a process of its own, and the best one written down."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stripwatch.cli.main import app
from stripwatch.local.state import UpState
from stripwatch.models.choice import read_choice
from stripwatch.models.settings import ModelServiceSettings
from stripwatch.runtime import cores
from stripwatch.runtime.settings import load
from tiny_models import write_model

QUICK = ("--rounds", "1", "--seconds", "0.01", "--threads", "1")


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRIPWATCH_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("STRIPWATCH_ENGINE_FILE", raising=False)
    return tmp_path / "models"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["models", "measure", *QUICK, *arguments], env={"COLUMNS": "160"})


def test_every_engine_that_is_here_runs_every_model_and_the_services_take_the_best(models: Path) -> None:
    write_model(models, "steel", width=3)
    write_model(models, "texture", kind="anomaly", width=3)
    ended = run("--write", "--json")
    assert ended.exit_code == 0, ended.output
    choice = read_choice(Path("var/engine.json"))
    assert choice is not None
    assert json.loads(ended.output) == choice.model_dump(mode="json")
    assert [(one.engine, one.threads, one.engines) for one in choice.measured] == [
        ("onnxruntime", 1, cores.available()),
        ("openvino", 1, cores.available()),
    ]
    for one in choice.measured:
        assert list(one.rates) == ["steel/1", "texture/1"]
        assert {rate.version.partition("/")[0] for rate in one.rates.values()} == {one.engine}
        assert {len(rate.rounds) for rate in one.rates.values()} == {1}
        assert one.load_mib >= one.rest_mib * 0.9
    assert load(ModelServiceSettings).engine == choice.engine


def test_nothing_is_written_unless_that_is_asked_for(models: Path) -> None:
    write_model(models)
    ended = run("steel")
    assert ended.exit_code == 0, ended.output
    assert "not written down: --write" in ended.output
    assert "not installed here: cuda, tensorrt" in ended.output
    assert not Path("var").exists()


def test_an_engine_on_which_a_model_fails_its_self_test_is_left_out_with_the_reason(models: Path) -> None:
    write_model(models, reference_bias=40)
    ended = run()
    assert ended.exit_code == 1
    assert "no engine runs these models: onnxruntime, " in ended.output
    assert "parity self-test on tiles failed" in ended.output
    assert "Traceback" not in ended.output


def test_a_model_that_is_not_there_is_named(models: Path) -> None:
    assert "no models in" in run().output
    write_model(models)
    ended = run("brass")
    assert ended.exit_code == 2
    assert "model 'brass': not in" in ended.output


def test_more_threads_than_cores_are_refused(models: Path) -> None:
    write_model(models)
    ended = run("--threads", str(cores.available() + 1))
    assert ended.exit_code == 2
    assert f"--threads: expected at most the {cores.available()} cores" in ended.output


def test_nothing_is_measured_beside_a_running_pipeline(models: Path) -> None:
    write_model(models)
    UpState(os.getpid(), "redis://127.0.0.1:1", ("line1",), "").write()
    ended = run()
    assert ended.exit_code == 1
    assert f"a pipeline runs in this folder (process {os.getpid()})" in ended.output
