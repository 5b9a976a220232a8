"""What `kubectl apply -k` would send, by overlay: rendered in a copy, with the users of Redis made."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
SERVICES = ("ingest", "preprocess", "classifier", "anomaly", "aggregator")
OVERLAYS = ("dev", "edge", "production")
ADDED = {
    "dev": ("monitoring", "traces", "keda", "cameras"),
    "edge": ("monitoring", "traces", "keda-streams", "models-fetch"),
    "production": ("traces", "remote-engine", "models-fetch"),
}
"""Components that an overlay does not have and can be given, all at once too."""
USERS = ("ingest", "preprocess", "aggregator", "scaler", "operator")

Object = dict[str, Any]


def components() -> list[str]:
    """All there are."""
    return sorted(path.parent.name for path in (ROOT / "k8s" / "components").glob("*/kustomization.yaml"))


@functools.cache
def require_kubectl() -> None:
    """Skips where there is none, or one whose kustomize knows no components (before 1.21, as Debian 12 has it)."""
    if not shutil.which("kubectl"):
        pytest.skip("needs kubectl (make system)")
    command = ["kubectl", "version", "--client", "--output", "json"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    if "kustomizeVersion" not in told:
        pytest.skip(f"needs kubectl 1.24 or newer, got {told['clientVersion']['gitVersion']}")


@functools.cache
def rendered(overlay: str, *added: str) -> tuple[Object, ...]:
    """The objects of an overlay, `added` components on top of its own."""
    listed = [f"../../components/{name}" for name in added]
    return kustomized(yaml.safe_dump({"namespace": "stripwatch", "resources": [f"../{overlay}"], "components": listed}))


def kustomized(text: str) -> tuple[Object, ...]:
    """The objects of a kustomization.yaml that stands in a folder beside the overlays."""
    require_kubectl()
    with tempfile.TemporaryDirectory() as folder:
        for place in ("k8s", "deploy/monitoring", "deploy/redis"):
            shutil.copytree(ROOT / place, Path(folder) / place, ignore=shutil.ignore_patterns("made"))
        made = f"{folder}/k8s/components/redis-users/made"
        subprocess.run(["sh", f"{folder}/deploy/redis/make-users", made, "redis:6379", *USERS], check=True)
        own = Path(folder) / "k8s" / "overlays" / "own"
        own.mkdir()
        (own / "kustomization.yaml").write_text(text)
        done = subprocess.run(["kubectl", "kustomize", str(own)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def of_kind(objects: tuple[Object, ...], *kinds: str) -> list[Object]:
    return [item for item in objects if item["kind"] in kinds]


def pods(objects: tuple[Object, ...]) -> dict[str, Object]:
    """Pod templates by what they are templates of."""
    return {
        item["metadata"]["name"]: item["spec"]["template"] for item in objects if "template" in item.get("spec", {})
    }


def environment(objects: tuple[Object, ...], pod: Object, kind: str = "containers") -> dict[str, str]:
    """What the pod's first container (of a kind) is given by ConfigMaps and by itself."""
    maps = {item["metadata"]["name"]: item["data"] for item in of_kind(objects, "ConfigMap")}
    container = pod["spec"][kind][0]
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= maps[source["configMapRef"]["name"]]
    return found | {one["name"]: one["value"] for one in container.get("env", [])}
