"""Every workload of the rendered `dev` overlay as a pod, under the security context that it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from containers.figures import Figures
from containers.kube_play import Played, play_all
from containers.podman import Podman
from containers.rendered import ORDER

USERS = dict.fromkeys(ORDER, "10001") | {"redis": "999"}
NOTHING = "0" * 16
FILTERED = "2"


@pytest.fixture(scope="module")
def pods(podman: Podman, scratch: Path, figures: Figures) -> dict[str, Played]:
    """Played once; each became healthy beside those that it asks."""
    found = {one.name: one for one in play_all(podman, scratch)}
    figures.note("pod_ready_s", **{name: round(one.ready_s, 1) for name, one in found.items()})
    return found


def test_every_workload_comes_up_healthy(pods: dict[str, Played]) -> None:
    assert pods.keys() == set(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_the_kernel_holds_a_pod_to_what_its_security_context_says(pods: dict[str, Played], name: str) -> None:
    limits = pods[name].limits
    assert set(limits["Uid"].split()) == {USERS[name]}
    assert limits["CapEff"] == limits["CapBnd"] == NOTHING
    assert limits["NoNewPrivs"] == "1"
    assert limits["Seccomp"] == FILTERED
    assert not pods[name].root_is_writable
