"""`stripwatch density` and then `stripwatch plan`, as an engineer runs them: on a real pipeline with tiny models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from e2e_parts import Start
from stripwatch.errors import StripwatchError
from stripwatch.sizing.trial import Trials

SMALL = ("--rate", "5", "--width-px", "200", "--height-px", "100", "--tile-px", "100", "--seconds", "1", "--no-durable")


def run(folder: Path, models: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("STRIPWATCH_")}
    return subprocess.run(
        [sys.executable, "-m", "stripwatch.cli", *arguments],
        cwd=folder,
        env={**env, "STRIPWATCH_MODELS": str(models), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> tuple[Path, dict[str, Any]]:
    """A search over two cameras, and the folder that it ran in."""
    folder = tmp_path_factory.mktemp("density")
    found = run(
        folder, tiny_models, "density", *SMALL, "--p99-ms", "60000", "--most", "2", "--json", "--out", "a/b.json"
    )
    assert found.returncode == 0, found.stderr
    assert "1 camera: holds, 0 of 5 lost" in found.stderr
    document = json.loads(found.stdout)
    assert json.loads((folder / "a" / "b.json").read_text(encoding="utf-8")) == document
    return folder, document


def test_every_frame_of_every_trial_is_accounted_for(searched: tuple[Path, dict[str, Any]]) -> None:
    _, found = searched
    assert (found["cameras"], found["at_least"]) == (2, True)
    assert [trial["cameras"] for trial in found["trials"]] == [1, 2]
    for trial in found["trials"]:
        assert trial["offered"] == 5 * trial["cameras"]
        assert (trial["judged"], trial["lost"], trial["shed"]) == (trial["offered"], 0, 0)
        assert 0 < trial["p50_ms"] <= trial["p99_ms"] <= trial["worst_ms"]


def test_the_rates_say_what_a_tile_cost_each_service(searched: tuple[Path, dict[str, Any]]) -> None:
    _, found = searched
    rates = found["rates"]
    assert set(rates["cpu_us_a_tile"]) == {"ingest", "redis", "preprocess", "classifier", "anomaly", "aggregator"}
    assert rates["models"] == {"classifier": "steel/1", "anomaly": "texture/1"}
    assert set(rates["engines"]) == {"classifier", "anomaly"}
    assert rates["tiles_per_s"] == 2 * 5 * 2
    assert rates["bytes_a_tile"]["redis_in"] > 0


def test_plan_sizes_a_line_by_what_density_wrote_down(searched: tuple[Path, dict[str, Any]], tiny_models: Path) -> None:
    folder, found = searched
    shown = run(folder, tiny_models, "plan", "--speed", "1", "--width", "100", "--tile-px", "100", "--json")
    assert shown.returncode == 0, shown.stderr
    told = json.loads(shown.stdout)
    assert told["rates"] == found["rates"]
    (classifier,) = (one for one in told["services"] if one["service"] == "classifier")
    assert classifier["busy"] == pytest.approx(40 * found["rates"]["cpu_us_a_tile"]["classifier"] / 1e6)


def test_a_machine_too_slow_for_one_camera_is_told_so_in_one_sentence(tmp_path: Path, tiny_models: Path) -> None:
    """No result is there within a millisecond."""
    refused = run(tmp_path, tiny_models, "density", *SMALL, "--p99-ms", "1")
    assert refused.returncode == 1, refused.stdout
    told, said = [line for line in refused.stderr.splitlines() if not line.startswith("warning: the machine is busy")]
    assert told.startswith("1 camera: does not hold")
    assert "is more than this machine holds" in said
    assert "--profile fast" in said
    assert not (tmp_path / "var" / "stripwatch-rates.json").exists()


def test_a_profile_without_its_models_is_refused_before_anything_starts(tmp_path: Path, tiny_models: Path) -> None:
    refused = run(tmp_path, tiny_models, "density", *SMALL, "--profile", "fast")
    assert refused.returncode == 2
    assert "stripwatch: model 'steel-fast': not in " in refused.stderr
    assert not (tmp_path / "var").exists()


def test_a_trial_in_which_a_service_ends_is_none(start: Start, tmp_path: Path) -> None:
    pipeline = start()
    trials = Trials(pipeline, tmp_path)
    pipeline.kill("anomaly")
    with pytest.raises(StripwatchError, match="anomaly killed by SIGKILL during the trial"):
        trials.run(pictures="none.npy", cameras=1, frames=1, rate=1.0, recipe="hot-rolled")
    trials.close()
