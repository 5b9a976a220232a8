"""The node, with the images on it and the dev overlay to be applied: for all tests of the story."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from cluster import source
from cluster.node import node
from cluster.older import for_1_20
from cluster.plant import Plant
from containers import build, packages, third_party
from containers.__main__ import DEFAULT
from containers.figures import Figures
from containers.podman import Podman
from manifests import rendered


@pytest.fixture(scope="session")
def figures() -> Iterator[Figures]:
    found = Figures("cluster")
    yield found
    sys.stdout.write(f"\n{found.write()}\n")


@pytest.fixture(scope="session")
def plant() -> Iterator[Plant]:
    packages.install(source.missing())
    programs = source.build(DEFAULT.with_name("stripwatch-cluster"))
    podman = Podman(DEFAULT / "podman")
    images = [*build.build(podman, DEFAULT), *third_party.make(podman, DEFAULT)]
    with node(DEFAULT / "node", programs, podman) as running:
        running.load(podman, *images)
        yield Plant(running, tuple(for_1_20(list(rendered("dev")))))
