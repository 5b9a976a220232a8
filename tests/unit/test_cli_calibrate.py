"""`stripwatch calibrate`: healthy frames in, a threshold for the recipe out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from dataset_cases import encoded, folder, zipped
from stripwatch.cli.main import app
from stripwatch.domain.camera import Side
from stripwatch.domain.recipe import Role
from stripwatch.local.ports import free_ports
from stripwatch.pixels import Image
from stripwatch.ports import Kind, Outgoing
from stripwatch.recipes import default_folders
from stripwatch.recording.writer import RecordingWriter
from stripwatch.rpc.client import RemoteScorer
from stripwatch.rpc.codec.frames import encode_end, encode_header, encode_start
from stripwatch.simulate import plan_strip, render
from tiny_models import write_model
from unit.feeding import RUN, end, start
from unit.feeding import frame as placed

TILE = 32
SHIPPED = Path(__file__).parent.parent.parent / "models"


def frame(rng: np.random.Generator, grey: float = 100) -> Image:
    """(64, 160) uint8: ten tiles, each of its own grey."""
    tiles = rng.normal(grey, 4, (2, 5)).repeat(TILE, axis=0).repeat(TILE, axis=1)
    return np.clip(tiles + rng.normal(0, 1, tiles.shape), 30, 255).astype(np.uint8)


def frames(count: int, bad: int = 0) -> dict[str, bytes]:
    rng = np.random.default_rng(3)
    return {f"{n:03d}.png": encoded(frame(rng, 220 if n < bad else 100)) for n in range(count)}


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default recipe with small tiles, and an anomaly scorer for which 128 is the threshold's grey."""
    write_model(tmp_path / "models", "texture", kind="anomaly")
    monkeypatch.setenv("STRIPWATCH_MODELS", str(tmp_path / "models"))
    text = (default_folders()[0] / "hot-rolled.yaml").read_text(encoding="utf-8")
    text = text.replace("name: hot-rolled", "name: mine").replace("_px: 200", f"_px: {TILE}")
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def run(*arguments: object, width: int = 100) -> Any:
    return CliRunner().invoke(app, ["calibrate", *map(str, arguments)], env={"COLUMNS": str(width)})


def found(*arguments: object) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(*arguments, "--json").stdout)
    return document


def test_the_threshold_is_what_the_wanted_share_of_tiles_reaches(recipe: Path, tmp_path: Path) -> None:
    source = folder(tmp_path, frames(60))
    facts = found("--ok", source, "--recipe", recipe, "--rate", 0.01)
    assert facts["measured"]
    assert (facts["tiles"], facts["frames"], facts["set_aside"]) == (600, 60, [])
    greys = [cv2.imread(str(path), 0).reshape(2, TILE, 5, TILE).mean(axis=(1, 3)) for path in sorted(source.iterdir())]
    assert facts["threshold"] == pytest.approx(np.sort(np.ravel(greys))[-6] / 128, abs=2e-3)
    assert found("--ok", zipped(tmp_path, frames(60)), "--recipe", recipe, "--rate", 0.01) == facts


def test_people_get_the_recipes_line_and_what_the_rate_means(recipe: Path, tmp_path: Path) -> None:
    result = run("--ok", folder(tmp_path, frames(60)), "--recipe", recipe, "--rate", 0.01, "--mm-per-px", 0.5)
    assert result.exit_code == 0
    assert "1 healthy tile in 100 flagged" in result.stdout
    assert "about 59,000 tiles on one side of 1,000 m x 1.5 m; 2 neighbours make a defect" in result.stdout
    rules = yaml.safe_load(result.stdout.splitlines()[-1])["anomaly"]
    assert (rules["min_tiles"], rules["review_per_m2"]) == (2, 0)
    assert 0.8 < rules["threshold"] < 0.9
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_bad_frames_are_named_and_hardly_move_the_threshold(recipe: Path, tmp_path: Path) -> None:
    clean = found("--ok", folder(tmp_path / "clean", frames(60)), "--recipe", recipe, "--rate", 0.01)
    spoilt = folder(tmp_path / "spoilt", frames(60, bad=2))
    facts = found("--ok", spoilt, "--recipe", recipe, "--rate", 0.01, "--bad-share", 0.04)
    assert sorted(one["frame"] for one in facts["set_aside"]) == ["000.png", "001.png"]
    assert facts["threshold"] == pytest.approx(clean["threshold"], rel=0.02)
    assert facts["threshold_with_all"] > 1.4
    shown = run("--ok", spoilt, "--recipe", recipe, "--rate", 0.01, "--bad-share", 0.04).stdout
    assert "If they are healthy, --bad-share 0 keeps them in" in shown


def test_too_few_tiles_exit_with_1_and_say_how_many_it_takes(recipe: Path, tmp_path: Path) -> None:
    result = run("--ok", folder(tmp_path, frames(60)), "--recipe", recipe, "--rate", 1e-4)
    assert result.exit_code == 1
    assert "Too few healthy tiles for this rate: it takes" in result.stdout
    assert "there are 600" in result.stdout


def test_what_cannot_be_calibrated_from_exits_with_2(recipe: Path, tmp_path: Path) -> None:
    handful = run("--ok", folder(tmp_path, frames(5)), "--recipe", recipe)
    assert handful.exit_code == 2
    assert "expected 300 tiles of 20 frames or more, got 50 of 5" in handful.stderr
    assert run("--ok", tmp_path / "nothing", "--recipe", recipe).exit_code == 2
    write_model(tmp_path / "models", "steel")
    other = run("--ok", tmp_path / "set", "--recipe", recipe, "--model", "steel")
    assert other.exit_code == 2
    assert "steel/1: expected an anomaly model, got a classifier" in other.stderr


def test_frames_without_steel_and_damaged_ones_are_told(recipe: Path, tmp_path: Path) -> None:
    more = {"900.png": b"none", "901.png": encoded(np.zeros((64, 160), dtype=np.uint8))}
    facts = found("--ok", folder(tmp_path, {**frames(60), **more}), "--recipe", recipe, "--rate", 0.01)
    assert facts["tiles"] == 600
    assert facts["without_tiles"][0].startswith("900.png: expected a BMP, JPEG or PNG file")
    assert facts["without_tiles"][1] == "901.png: only background"


def test_a_running_service_gives_the_same_threshold(recipe: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    source, address = folder(tmp_path, frames(60)), f"127.0.0.1:{port}"
    settings = {"STRIPWATCH_HEALTH_PORT": str(port), "STRIPWATCH_MODELS": str(tmp_path / "models")}
    service = subprocess.Popen([sys.executable, "-m", "stripwatch_anomaly"], env={**os.environ, **settings})
    peer = RemoteScorer(Role.ANOMALY, address)
    try:
        while peer.ready(1.0) is not None:
            assert service.poll() is None
            time.sleep(0.05)
        there = found("--ok", source, "--recipe", recipe, "--rate", 0.01, "--service", address)
    finally:
        peer.close()
        service.terminate()
        service.wait(30)
    assert there == found("--ok", source, "--recipe", recipe, "--rate", 0.01)


def test_the_shipped_scorer_on_simulated_steel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clean strips, and one frame with bright lines: it is set aside, and the threshold is below the recipe's."""
    monkeypatch.setenv("STRIPWATCH_MODELS", str(SHIPPED))
    files = {}
    for strip in range(5):
        plan = plan_strip(5_100_000 + strip, length_mm=2000, width_mm=400, mm_per_px=0.5, defects=0, sides=(Side.TOP,))
        for n in range(10):
            files[f"{strip}_{n}.png"] = encoded(render(plan, Side.TOP, n * 400, 400, -40, 880))
    flawed = cv2.imdecode(np.frombuffer(files["3_5.png"], np.uint8), 0)
    flawed[50:350, 300:500:8] = 255
    files["3_5.png"] = encoded(np.asarray(flawed, dtype=np.uint8))
    facts = found("--ok", zipped(tmp_path, files), "--rate", 0.01)
    assert [one["frame"] for one in facts["set_aside"]] == ["3_5.png"]
    assert 0.3 < facts["threshold"] < 1.5


def test_a_recording_tells_its_own_scale(recipe: Path, tmp_path: Path) -> None:
    rng, count = np.random.default_rng(3), 60
    with RecordingWriter(tmp_path / "coil.mcap") as writer:
        writer.write(Outgoing(Kind.START, RUN, encode_start(start())), 0)
        for index in range(count):
            header = placed(index, size=(64, 160)).header
            writer.write(Outgoing(Kind.FRAME, RUN, encode_header(header), frame(rng).tobytes()), 0)
        writer.write(Outgoing(Kind.END, RUN, encode_end(end(count))), 0)
        writer.finish()
    options = ("--recipe", recipe, "--rate", 0.01)
    recorded = found("--ok", tmp_path / "coil.mcap", *options)
    assert recorded == found("--ok", folder(tmp_path, frames(count)), *options)
    assert "about 59,000 tiles on one side" in run("--ok", tmp_path / "coil.mcap", *options).stdout
