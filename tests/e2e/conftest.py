"""Fixtures of the end-to-end tests: tiny models that judge by brightness, and strips of which some tiles are bright."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from e2e_parts import SERIES, Start, recording_of
from stripwatch.local import Pipeline
from stripwatch.local.feeds import folder_settings, simulator_settings
from tiny_models import write_pair

DARK, BRIGHT = 60, 190


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models that the default recipe names, on one backbone: bright is a scratch, and not as usual as dark."""
    folder = tmp_path_factory.mktemp("models")
    write_pair(folder)
    return folder


@pytest.fixture
def start(tmp_path: Path, tiny_models: Path) -> Iterator[Start]:
    """`start(workers=2, NAME=value)`: a pipeline with tiny models, stopped at the end of the test."""
    running: list[Pipeline] = []
    log = (tmp_path / "services.log").open("w", encoding="utf-8")

    def keep(name: str, line: str) -> None:
        if not log.closed:
            log.write(f"{name:<12} | {line}\n")
            log.flush()

    def begin(workers: int = 1, settings: Mapping[str, str] | None = None, redis_url: str | None = None) -> Pipeline:
        env = {"STRIPWATCH_MODELS": str(tiny_models), **(settings or {})}
        pipeline = Pipeline(
            tmp_path / f"redis-{len(running)}", redis_url=redis_url, workers=workers, env=env, sink=keep
        )
        running.append(pipeline)
        pipeline.start()
        return pipeline

    yield begin
    for pipeline in running:
        pipeline.stop()
    log.close()


@pytest.fixture(scope="session")
def bright_strip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames of 200 x 600 px, dark but for the middle tile of frame 3 and the last tile of frame 7."""
    folder = tmp_path_factory.mktemp("frames") / "coil-7"
    folder.mkdir()
    rng = np.random.default_rng(7)
    for number in range(10):
        image = rng.normal(DARK, 5, (200, 600))
        if number in (3, 7):
            column = 200 if number == 3 else 400
            image[:, column : column + 200] += BRIGHT - DARK
        cv2.imwrite(str(folder / f"frame-{number}.png"), image.clip(30, 255).astype(np.uint8))
    return folder


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path, bright_strip: Path) -> Path:
    """The bright strip and two simulated ones, recorded as they went through a pipeline."""
    folder = tmp_path_factory.mktemp("recorded")
    path = folder / "strips.mcap"
    with Pipeline(folder / "redis", env={"STRIPWATCH_MODELS": str(tiny_models)}) as pipeline:
        with recording_of(pipeline.line(), path, runs=3):
            pipeline.finish(pipeline.feed(folder_settings(bright_strip, "coil-7", "first")), 60.0)
            pipeline.finish(pipeline.feed(simulator_settings(SERIES, 2, "first")), 60.0)
        pipeline.settle()
    return path
