"""What Kubernetes 1.20 knows under an older name, or not at all, in manifests that are for a current one."""

from __future__ import annotations

import copy
from typing import Any

from containers.build import image

Object = dict[str, Any]

BUILT_IN = ("v1", "apps/v1", "policy/v1", "networking.k8s.io/v1", "batch/v1")
"""Everything else is a custom resource, whose operator is not here."""
HEALTH = ("python", "-m", "stripwatch.rpc.health")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
SLOWER = 3
"""An exec probe starts an interpreter, where a gRPC one costs nothing: on two cores they come less often."""
REDIS = "docker.io/library/redis:8.2-bookworm"


def for_1_20(objects: list[Object]) -> list[Object]:
    """The same objects as 1.20 takes them: gRPC probes by our own health command, images as they were loaded."""
    return [_object(copy.deepcopy(one)) for one in objects if one["apiVersion"] in BUILT_IN]


def _object(one: Object) -> Object:
    if one["apiVersion"] == "policy/v1":
        one["apiVersion"] = "policy/v1beta1"
        one["spec"].pop("unhealthyPodEvictionPolicy", None)
    if one["kind"] in ("Deployment", "StatefulSet", "Job"):
        _pod(one["spec"]["template"]["spec"])
        one["spec"].pop("persistentVolumeClaimRetentionPolicy", None)
    return one


def _pod(pod: Object) -> None:
    for constraint in pod.get("topologySpreadConstraints", ()):
        constraint.pop("matchLabelKeys", None)
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        name = container["image"].partition(":")[0]
        container["image"] = image(name.removeprefix("stripwatch-")) if name.startswith("stripwatch-") else REDIS
        container["imagePullPolicy"] = "Never"
        for probe in (container[name] for name in PROBES if name in container):
            if "grpc" in probe:
                asked = probe.pop("grpc")
                service = [asked["service"]] if "service" in asked else []
                probe["exec"] = {"command": [*HEALTH, f"127.0.0.1:{asked['port']}", *service]}
                probe["periodSeconds"] = SLOWER * probe.get("periodSeconds", 10)
                probe["timeoutSeconds"] = 10
        # All of a plant on two cores: what is asked for would leave half of the pods waiting for a node.
        container.get("resources", {}).get("requests", {}).pop("cpu", None)
