"""What was measured is written down once, and services take it where no setting says otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stripwatch.errors import SettingsInvalid
from stripwatch.models.choice import EngineChoice, Trial, best, read_choice, workers_of
from stripwatch.models.settings import ModelServiceSettings
from stripwatch.runtime.settings import load
from tiny_models import write_model


def trial(engine: str = "onnxruntime", threads: int = 1, engines: int = 4, **tiles_per_s: float) -> dict[str, Any]:
    rates = {
        f"{name}/1": {"version": f"{engine}/1", "tiles_per_s": rate, "cpu_us_a_tile": 1e6 / rate, "rounds": [rate]}
        for name, rate in (tiles_per_s or {"steel": 1000.0}).items()
    }
    sizes = {"rest_mib": 100.0, "load_mib": 120.0}
    return {"engine": engine, "threads": threads, "engines": engines, **sizes, "rates": rates}


def document(**changes: Any) -> dict[str, Any]:
    whole = {"format": 1, "engine": "openvino", "threads": 1, "workers": 2, "cores": 4, "batch": 16}
    measured = [trial(), trial("openvino"), trial("openvino", 4, 1)]
    return {**whole, "machine": "4 cores", "measured_at": "2026-11-25T01:00:00Z", "measured": measured, **changes}


def written(place: Path, **changes: Any) -> Path:
    place.write_text(json.dumps(document(**changes)), encoding="utf-8")
    return place


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("ENGINE", "ENGINE_FILE", "ENGINE_THREADS", "ENGINE_WORKERS"):
        monkeypatch.delenv(f"STRIPWATCH_{name}", raising=False)
    return tmp_path


def _taken() -> tuple[str, int, int]:
    found = load(ModelServiceSettings)
    return found.engine, found.engine_threads, found.engine_workers


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    choice = EngineChoice.model_validate(document())
    choice.write(tmp_path / "var" / "engine.json")
    assert read_choice(tmp_path / "var" / "engine.json") == choice
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["engine.json"]
    assert choice.chosen == choice.measured[1]


def test_where_nothing_is_written_down_onnx_runtime_runs_the_models(here: Path) -> None:
    assert read_choice(here / "engine.json") is None
    assert load(ModelServiceSettings).engine == "onnxruntime"
    assert load(ModelServiceSettings).engine_threads == 1


def test_a_service_takes_what_was_written_down_in_its_folder(here: Path) -> None:
    (here / "var").mkdir()
    written(here / "var" / "engine.json", threads=4, workers=1)
    assert _taken() == ("openvino", 4, 1)


def test_the_file_may_lie_elsewhere(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPWATCH_ENGINE_FILE", str(written(here / "measured.json")))
    assert _taken() == ("openvino", 1, 2)


def test_a_file_that_is_named_must_be_there(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPWATCH_ENGINE_FILE", "gone.json")
    with pytest.raises(SettingsInvalid, match=r"^STRIPWATCH_ENGINE_FILE: expected a file, got 'gone\.json'"):
        load(ModelServiceSettings)


def test_a_setting_goes_before_what_was_measured(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPWATCH_ENGINE_FILE", str(written(here / "measured.json", threads=4, workers=1)))
    monkeypatch.setenv("STRIPWATCH_ENGINE_WORKERS", "3")
    assert _taken() == ("openvino", 4, 3)


def test_what_was_measured_of_one_engine_says_nothing_of_another(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPWATCH_ENGINE_FILE", str(written(here / "measured.json", threads=4, workers=1)))
    monkeypatch.setenv("STRIPWATCH_ENGINE", "onnxruntime")
    assert load(ModelServiceSettings).engine == "onnxruntime"
    assert load(ModelServiceSettings).engine_threads == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engine": "abacus"}, r"engine: .*'onnxruntime', .*'tensorrt', got 'abacus'"),
        ({"format": 2}, "format: .*1, got 2"),
        ({"workers": 0}, "workers: .*greater than or equal to 1, got 0"),
        ({"speed": 1}, "speed: .*not permitted, got 1"),
        ({"measured_at": "2026-11-25T01:00:00"}, "measured_at: .*timezone"),
        ({"threads": 2}, "measured: expected a trial of openvino with 2 threads, got none"),
        ({"measured": [trial("openvino", steel=-1.0)]}, r"measured\.0\.rates\.steel/1\.tiles_per_s: .*got -1"),
        ({"measured": [{**trial("openvino"), "rates": {}}]}, r"measured\.0\.rates: .*at least 1"),
    ],
)
def test_a_file_with_something_else_in_it_names_itself_and_the_field(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    place = written(tmp_path / "engine.json", **changes)
    with pytest.raises(SettingsInvalid, match=rf"^{place}: {words}"):
        read_choice(place)


@pytest.mark.parametrize("text", [b"", b"openvino", b"[]", b"\xff\xfe", b"[" * 100_000, b" " * (2**20 + 1)])
def test_a_file_that_is_no_such_document_is_refused_in_one_line(tmp_path: Path, text: bytes) -> None:
    place = tmp_path / "engine.json"
    place.write_bytes(text)
    with pytest.raises(SettingsInvalid, match=rf"^{place}: ") as refused:
        read_choice(place)
    assert "\n" not in str(refused.value)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read: Is a directory"):
        read_choice(tmp_path)


def test_the_best_takes_the_least_time_for_a_tile_through_every_model() -> None:
    onnx = Trial.model_validate(trial(steel=1000.0, fast=9000.0))
    openvino = Trial.model_validate(trial("openvino", steel=1300.0, fast=8000.0))
    assert best([onnx, openvino]) is openvino
    assert best([openvino, onnx]) is openvino


def test_a_gain_within_the_noise_changes_no_engine() -> None:
    onnx, openvino = (
        Trial.model_validate(trial(name, steel=rate)) for name, rate in (("onnxruntime", 1000.0), ("openvino", 1020.0))
    )
    assert best([onnx, openvino]) is onnx


@pytest.mark.parametrize(("engines", "workers"), [(1, 1), (2, 1), (3, 1), (16, 8)])
def test_the_two_model_services_share_the_cores(engines: int, workers: int) -> None:
    assert workers_of(Trial.model_validate(trial(engines=engines))) == workers


def test_a_service_does_not_start_on_an_engine_that_is_not_here_and_says_so_in_one_line(here: Path) -> None:
    models = here / "models"
    write_model(models)
    place = written(here / "measured.json", engine="cuda", measured=[trial("cuda")])
    env = {**os.environ, "STRIPWATCH_MODELS": str(models), "STRIPWATCH_ENGINE_FILE": str(place)}
    ended = subprocess.run(
        [sys.executable, "-m", "stripwatch_classifier"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert (
        "STRIPWATCH_ENGINE or STRIPWATCH_ENGINE_FILE: cuda needs ONNX Runtime's CUDAExecutionProvider" in ended.stderr
    )
