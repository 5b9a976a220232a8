"""The search for the most that holds, and cameras that cost next to nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from stripwatch.cli import model_checks
from stripwatch.cli.density import disturbance
from stripwatch.cli.main import app
from stripwatch.domain.camera import Side
from stripwatch.domain.recipe import Cutting, Role
from stripwatch.errors import NotFound
from stripwatch.local.state import UpState
from stripwatch.models.store import ModelStore
from stripwatch.recipes import read_recipe
from stripwatch.sizing.load import CameraLoad
from stripwatch.sizing.pictures import draw_pictures
from stripwatch.sizing.profile import MODELS, Profile, find_judges, write_recipe
from stripwatch.sizing.search import FINENESS, most
from tiny_models import write_pair


@pytest.mark.parametrize("truth", [0, 1, 2, 3, 17, 31, 32, 33, 49])
def test_the_search_finds_the_most_that_holds(truth: int) -> None:
    assert most(lambda number: number <= truth, 1024) == truth


@pytest.mark.parametrize("truth", [100, 333, 1023])
def test_the_search_is_as_fine_as_a_trial_is_repeatable(truth: int) -> None:
    found = most(lambda number: number <= truth, 1024)
    assert truth * (1 - 1 / FINENESS) - 1 <= found <= truth


@pytest.mark.parametrize("limit", [1, 5, 8])
def test_the_search_stops_at_its_limit(limit: int) -> None:
    tried: list[int] = []

    def holds(number: int) -> bool:
        tried.append(number)
        return True

    assert most(holds, limit) == limit
    assert max(tried) == limit


def test_no_number_is_tried_twice() -> None:
    for truth in range(20):
        tried: list[int] = []

        def holds(number: int, truth: int = truth, tried: list[int] = tried) -> bool:
            tried.append(number)
            return number <= truth

        most(holds, 16)
        assert len(set(tried)) == len(tried)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["density", *arguments])


def load_of(cameras: int, **kind: Any) -> CameraLoad:
    return CameraLoad(
        "line1", "s", "account.json", "pictures.npy", cameras=cameras, frames=1, rate=1.0, recipe="fast", **kind
    )


def test_more_cameras_than_a_run_can_have_stand_over_several_strips() -> None:
    runs = load_of(130).runs
    assert [len(cameras) for cameras in runs.values()] == [64, 64, 2]
    assert [run.strip for run in runs] == ["s-1", "s-2", "s-3"]
    assert len({name for cameras in runs.values() for name, _, _ in cameras}) == 130


def test_on_two_sides_every_second_camera_looks_from_below() -> None:
    (cameras,) = load_of(3, sides=2).runs.values()
    assert cameras == (("top-1", Side.TOP, 0), ("bottom-1", Side.BOTTOM, 0), ("top-2", Side.TOP, 1))


def test_pictures_are_one_strip_from_head_to_tail() -> None:
    drawn = draw_pictures(7, height_px=100, width_px=120, mm_per_px=0.5, pictures=3, defects=1)
    again = draw_pictures(7, height_px=300, width_px=120, mm_per_px=0.5, pictures=1, defects=1)
    assert drawn.shape == (3, 100, 120)
    assert np.array_equal(drawn.reshape(300, 120), again[0])


def test_a_profile_is_the_shipped_recipe_with_its_models_and_this_cutting(tmp_path: Path) -> None:
    name = write_recipe("fast", MODELS[Profile.FAST], Cutting(100, 100), tmp_path)
    recipe = read_recipe(tmp_path / f"{name}.yaml")
    assert recipe.models == {Role.CLASSIFIER: "steel-fast", Role.ANOMALY: "texture-fast"}
    assert recipe.cutting == Cutting(100, 100)
    assert set(recipe.classes) >= {"scratches", "crazing"}


def test_a_frame_that_no_stream_takes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused = run("--rate", "1", "--width-px", "65000", "--height-px", "1000")
    assert refused.exit_code == 2
    assert "expected at most 64000000 px, got 1000 x 65000" in refused.output


def test_a_pipeline_that_runs_here_would_be_measured_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    UpState(os.getpid(), "redis://127.0.0.1:1/0", ("line1",), "127.0.0.1:2").write()
    refused = run("--rate", "1")
    assert refused.exit_code == 1
    assert f"a pipeline runs in this folder (process {os.getpid()})" in refused.output


def test_a_busy_machine_is_told_before_it_is_measured() -> None:
    assert not disturbance(0.9, 2)
    assert "load average 3.0 on 2 cores" in disturbance(3.0, 2)


def test_a_shared_backbone_sends_descriptors_in_place_of_tiles(tmp_path: Path) -> None:
    write_pair(tmp_path)
    sent = find_judges(Profile.ACCURATE, ModelStore([tmp_path])).bytes_a_tile()
    assert sent == {"classifier_in": 256, "classifier_out": 8 + 12, "anomaly_in": 12, "anomaly_out": 4}


def test_a_profile_without_its_models_says_which_there_are(tmp_path: Path) -> None:
    write_pair(tmp_path)
    with pytest.raises(NotFound, match=r"'steel-fast': not in .* there are: steel/1, texture/1"):
        find_judges(Profile.FAST, ModelStore([tmp_path]))


def test_every_profile_is_of_models_that_ship() -> None:
    for profile in Profile:
        assert find_judges(profile, model_checks.store()).bytes_a_tile()["classifier_in"] > 0
