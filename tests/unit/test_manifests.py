"""The Kubernetes base is well-formed, complete, and keeps to the restricted Pod Security level."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
SERVICES = {"ingest", "preprocess", "classifier", "anomaly", "aggregator"}


def kubernetes_objects() -> list[dict[str, Any]]:
    base = ROOT / "k8s" / "base"
    resources = yaml.safe_load((base / "kustomization.yaml").read_text())["resources"]
    return [document for name in resources for document in yaml.safe_load_all((base / name).read_text())]


@pytest.mark.parametrize("item", kubernetes_objects(), ids=lambda item: f"{item['kind']}-{item['metadata']['name']}")
def test_every_kubernetes_object_fits_the_published_schema(item: dict[str, Any]) -> None:
    kubernetes_validate.validate(item, "1.33", strict=True)


def test_the_base_renders() -> None:
    if not shutil.which("kubectl"):
        pytest.skip("needs kubectl (make system)")
    command = ["kubectl", "kustomize", str(ROOT / "k8s" / "base")]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    kinds = [document["kind"] for document in yaml.safe_load_all(rendered)]
    assert kinds.count("Deployment") == len(SERVICES)


def test_every_container_keeps_to_the_restricted_pod_security_level() -> None:
    for item in kubernetes_objects():
        if item["kind"] not in ("Deployment", "StatefulSet"):
            continue
        pod = item["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            context = container["securityContext"]
            assert not context["allowPrivilegeEscalation"]
            assert context["readOnlyRootFilesystem"]
            assert context["capabilities"] == {"drop": ["ALL"]}
