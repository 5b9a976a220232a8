"""One engine for all of it, in a network namespace that this process enters too; figures are written at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from containers import build, third_party
from containers.__main__ import DEFAULT
from containers.engine import engine
from containers.figures import Figures, image_mib
from containers.inside import inside
from containers.podman import Podman
from containers.stack import Stack
from containers.wheels import IMAGES


@pytest.fixture(scope="session")
def scratch() -> Path:
    """Where `python -m containers build` and `third-party` left the images."""
    return Path(os.environ.get("STRIPWATCH_SCRATCH", DEFAULT))


@pytest.fixture(scope="session")
def podman(scratch: Path) -> Podman:
    return Podman(scratch / "podman")


@pytest.fixture(scope="session")
def figures() -> Iterator[Figures]:
    found = Figures()
    yield found
    print(found.write())  # noqa: T201 - `make e2e-containers` shows it


@pytest.fixture(scope="session")
def stack(podman: Podman, scratch: Path, figures: Figures) -> Iterator[Stack]:
    """The compose file on an engine that has all images; nothing of it is left at the end."""
    ours = {name: build.image(name) for name in IMAGES}
    with engine(scratch / "engine") as found:
        found.load(podman, *ours.values(), *third_party.images())
        environment = found.environment() | {"COMPOSE_PROJECT_NAME": "stripwatch-e2e"}
        running = Stack({**environment, "PATH": f"/usr/bin:{environment['PATH']}"})
        figures.note("image_mib", **image_mib(running, ours))
        with inside(found.namespace):
            try:
                yield running
            finally:
                running.remove()
