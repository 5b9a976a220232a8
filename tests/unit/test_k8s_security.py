"""Every pod passes the restricted level of the Pod Security Standards, and what is more than that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from manifests import ADDED, OVERLAYS, Object, of_kind, pods, rendered

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
"""What the restricted level allows."""


@pytest.fixture(params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> tuple[Object, ...]:
    return rendered(request.param, *ADDED[request.param])


def containers(pod: Object) -> Iterator[dict[str, Any]]:
    yield from pod["spec"].get("initContainers", [])
    yield from pod["spec"]["containers"]


def test_the_namespace_lets_nothing_else_in(objects: tuple[Object, ...]) -> None:
    (namespace,) = of_kind(objects, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_pod_is_apart_from_its_node_and_without_root(objects: tuple[Object, ...]) -> None:
    for pod in pods(objects).values():
        spec = pod["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers", "shareProcessNamespace"} & spec.keys()
        for volume in spec.get("volumes", []):
            assert volume.keys() - {"name"} <= VOLUMES
        context = spec["securityContext"]
        assert context.pop("fsGroupChangePolicy", "OnRootMismatch") == "OnRootMismatch"
        user = context["runAsUser"]
        assert user > 0
        assert context == {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        }


def test_every_container_keeps_to_the_restricted_pod_security_level(objects: tuple[Object, ...]) -> None:
    for pod in pods(objects).values():
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert not any("hostPort" in port or "hostIP" in port for port in container.get("ports", []))
            for hook in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert not any("host" in how for how in container.get(hook, {}).values() if isinstance(how, dict))


def test_what_may_be_written_is_bounded(objects: tuple[Object, ...]) -> None:
    for pod in pods(objects).values():
        for volume in pod["spec"].get("volumes", []):
            assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": None}), volume["name"]


def test_no_secret_is_an_environment_variable_or_an_argument(objects: tuple[Object, ...]) -> None:
    for pod in pods(objects).values():
        for container in containers(pod):
            assert not any("secretRef" in source for source in container.get("envFrom", []))
            assert all("value" in one for one in container.get("env", []))
            assert not any("@" in word for word in [*container.get("args", []), *container.get("command", [])])
