"""What `kubectl kustomize` makes of an overlay, in pieces that `podman kube play` takes one at a time."""

from __future__ import annotations

import copy
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

ORDER = ("redis", "classifier", "anomaly", "aggregator", "preprocess", "ingest")
"""Who is asked by another comes before it."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The objects of one overlay."""

    objects: tuple[dict[str, Any], ...]

    def workloads(self) -> list[str]:
        """Deployments, and the StatefulSet of Redis."""
        names = {one["metadata"]["name"] for one in self.objects if one["kind"] in ("Deployment", "StatefulSet")}
        return sorted(names, key=ORDER.index)

    def playable(self, name: str, hosts: Mapping[str, str]) -> str:
        """One workload with the ConfigMaps and Secrets of all, and the addresses of those that play already.

        Not quite as it is: podman knows no Services, so their names become host aliases; it publishes a container's
        ports on the host, all pods' the same ones, so those go; a StatefulSet becomes a Deployment, its claims
        plain; files of Secrets come as those of ConfigMaps.
        """
        given = [one for one in self.objects if one["kind"] in ("ConfigMap", "Secret")]
        found = next(one for one in self.objects if one["kind"] in KINDS and one["metadata"]["name"] == name)
        workload = copy.deepcopy(found)
        pod = workload["spec"]["template"]["spec"]
        pod["hostAliases"] = [{"ip": address, "hostnames": [host]} for host, address in hosts.items()]
        for container in pod["containers"]:
            del container["ports"]
        claims = workload["spec"].pop("volumeClaimTemplates", [])
        for claim in claims:
            given.append(claim | {"apiVersion": "v1", "kind": "PersistentVolumeClaim"})
            volume = claim["metadata"]["name"]
            pod.setdefault("volumes", []).append({"name": volume, "persistentVolumeClaim": {"claimName": volume}})
        secrets = {one["metadata"]["name"]: one for one in given if one["kind"] == "Secret"}
        for volume in pod["volumes"]:
            if "secret" in volume:  # podman 4.3 puts their files there undecoded
                secret = secrets[volume.pop("secret")["secretName"]]
                data = {key: b64decode(value).decode() for key, value in secret["data"].items()}
                given.append(secret | {"kind": "ConfigMap", "data": data})
                volume["configMap"] = {"name": secret["metadata"]["name"]}
        workload["kind"] = "Deployment"
        workload["spec"]["replicas"] = 1
        return yaml.safe_dump_all([*given, workload])


KINDS = ("Deployment", "StatefulSet")
