"""A rendered overlay on the node: strips sent by pods of the ingest image, verdicts read by the command line."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from cluster.node import Node
from cluster.older import Object
from containers.stack import until
from containers.strips import Strips

NAMESPACE = "stripwatch"
PATIENCE_S = 300.0
READ = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=10).read().decode())"
Verdict = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plant:
    """What was applied, and the node that it is on."""

    node: Node
    objects: tuple[Object, ...]

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        return self.node.kubectl("--namespace", NAMESPACE, *arguments, stdin=stdin, check=check)

    def apply(self) -> None:
        """All but the source of frames, which each test brings itself; and a place for Redis's claim."""
        data = self.node.folder / "redis-data"
        data.mkdir(mode=0o777, exist_ok=True)
        data.chmod(0o777)  # a hostPath is not given to the pod's group
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": "redis-data"},
            "spec": {
                "capacity": {"storage": "100Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": str(data)},
            },
        }
        others = [one for one in self.objects if (one["kind"], one["metadata"]["name"]) != ("Deployment", "ingest")]
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([volume, *others]))

    def until_rolled_out(self, *names: str) -> None:
        for name in names:
            self.kubectl("rollout", "status", name, f"--timeout={PATIENCE_S:g}s")

    def pods(self, app: str) -> list[Object]:
        """Those that are not on their way out."""
        found = json.loads(self.kubectl("get", "pods", "-l", f"app={app}", "-o", "json"))["items"]
        return [one for one in found if "deletionTimestamp" not in one["metadata"]]

    def ready(self, app: str) -> list[str]:
        """Names of ready pods."""
        return [one["metadata"]["name"] for one in self.pods(app) if _is_ready(one)]

    def totals(self, app: str, metric: str) -> list[float]:
        """The sum over a metric's labels, of each pod."""
        found = []
        for pod in self.pods(app):
            page = self._page(pod["status"].get("podIP", ""))
            families = text_string_to_metric_families(page)
            found.append(sum(one.value for family in families for one in family.samples if one.name == metric))
        return found

    def _page(self, address: str) -> str:
        script = (
            f"import urllib.request as u; print(u.urlopen('http://{address}:9464/metrics', timeout=10).read().decode())"
        )
        command = self.node.inside(sys.executable, "-c", script)
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    @contextmanager
    def sending(self, strips: Strips) -> Iterator[str]:
        """The pod that sends them; at the end of the block it is told to stop, and gone."""
        name = f"sends-{strips.run}"
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(self._source(name, strips)))
        try:
            yield name
        finally:
            self.kubectl("delete", "pod", name, "--wait")

    def _source(self, name: str, strips: Strips) -> Object:
        (ingest,) = (one for one in self.objects if one["kind"] == "Deployment" and one["metadata"]["name"] == "ingest")
        template = copy.deepcopy(ingest["spec"]["template"])
        (container,) = template["spec"]["containers"]
        given = {**strips.settings(), "STRIPWATCH_SOURCE": "simulator"}
        container.setdefault("env", []).extend({"name": key, "value": value} for key, value in given.items())
        container["env"].append({"name": "STRIPWATCH_SOURCE_FILE", "value": ""})
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            container.pop(probe, None)  # it ends when all is sent
        template["spec"]["restartPolicy"] = "Never"
        metadata = {"name": name, "labels": template["metadata"]["labels"]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}

    def sent(self, strips: Strips) -> list[Verdict]:
        """Sends them all, and waits for their verdicts, in the order of the strips."""
        with self.sending(strips):
            return self.awaited(strips)

    def awaited(self, strips: Strips) -> list[Verdict]:
        """Their verdicts, once all are there, in the order of the strips."""
        wanted = [run.strip for run in strips.runs()]
        until(
            lambda: set(wanted) <= self.of_run(strips.run).keys(), f"{len(wanted)} verdicts of {strips.run}", PATIENCE_S
        )
        found = self.of_run(strips.run)
        return [found[strip] for strip in wanted]

    def of_run(self, run: str) -> dict[str, Verdict]:
        """By strip; no strip has two."""
        found = [one for one in self.verdicts() if one["data"]["jobId"] == run]
        by_strip = {one["data"]["partId"]: one for one in found}
        assert len(by_strip) == len(found), f"run {run}: a strip has two verdicts"
        return by_strip

    def verdicts(self) -> list[Verdict]:
        (pod,) = self.pods("redis")
        url = f"redis://{pod['status']['podIP']}:6379/0"
        env = os.environ | {"STRIPWATCH_REDIS_URL": url, "STRIPWATCH_PLAINTEXT": "allowed"}
        command = self.node.inside(sys.executable, "-m", "stripwatch.cli", "verdicts", "--json", "--cursor", "0")
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [one["event"] for one in json.loads(done.stdout)]

    def seconds(self, *arguments: str, rolled: str) -> float:
        """How long it takes from a command until its rollout is through."""
        began = time.monotonic()
        self.kubectl(*arguments)
        self.until_rolled_out(rolled)
        return round(time.monotonic() - began, 1)


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
