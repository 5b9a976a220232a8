"""Whoever ends a service gives it the time that it takes by its own settings."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stripwatch.models.settings import ModelServiceSettings
from stripwatch.runtime.settings import AnsweringSettings, ServiceSettings
from stripwatch_aggregator.settings import AggregatorSettings
from stripwatch_ingest.settings import IngestSettings
from stripwatch_preprocess.settings import PreprocessSettings

ROOT = Path(__file__).parent.parent.parent
SETTINGS: dict[str, type[ServiceSettings]] = {
    "ingest": IngestSettings,
    "preprocess": PreprocessSettings,
    "classifier": ModelServiceSettings,
    "anomaly": ModelServiceSettings,
    "aggregator": AggregatorSettings,
}
HANGING_S = 15.0
"""A call under way that hangs when the end is asked for: requests, and an answer of Redis, take 5 s at most."""


def takes(service: str, env: dict[str, str]) -> float:
    """Seconds from SIGTERM to the end, at worst, with the settings of an environment."""
    fields = SETTINGS[service].model_fields
    names = ("drain_seconds", "shutdown_delay_seconds")
    given = {name: env.get(f"STRIPWATCH_{name.upper()}", fields[name].default) for name in names if name in fields}
    return sum(float(value) for value in given.values()) + HANGING_S


def overlays() -> list[Path]:
    found = sorted(path.parent for path in (ROOT / "k8s").rglob("kustomization.yaml"))
    return [path for path in found if path.name == "base" or path.parent.name == "overlays"]


@pytest.mark.parametrize("overlay", overlays(), ids=lambda path: path.name)
def test_kubernetes_waits_for_every_service_for_as_long_as_it_drains(overlay: Path) -> None:
    if not shutil.which("kubectl"):
        pytest.skip("needs kubectl (make system)")
    command = ["kubectl", "kustomize", str(overlay)]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    objects: list[dict[str, Any]] = list(yaml.safe_load_all(rendered))
    maps = {item["metadata"]["name"]: item.get("data", {}) for item in objects if item["kind"] == "ConfigMap"}
    pods = {
        item["metadata"]["name"]: item["spec"]["template"]["spec"]
        for item in objects
        if "template" in item.get("spec", {})
    }
    services = SETTINGS.keys() & pods.keys()
    assert services
    for name in services:
        (container,) = (one for one in pods[name]["containers"] if one["name"] == name)
        env: dict[str, str] = {}
        for source in container.get("envFrom", []):
            env |= maps.get(source.get("configMapRef", {}).get("name"), {})
        env |= {one["name"]: one["value"] for one in container.get("env", []) if "value" in one}
        assert pods[name]["terminationGracePeriodSeconds"] >= takes(name, env), name
        answers = issubclass(SETTINGS[name], AnsweringSettings)
        assert not answers or float(env["STRIPWATCH_SHUTDOWN_DELAY_SECONDS"]) > 0, name


def test_compose_waits_for_every_service_for_as_long_as_it_drains() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in SETTINGS.keys() & services.keys():
        env = {key: str(value) for key, value in services[name].get("environment", {}).items()}
        assert float(services[name]["stop_grace_period"].removesuffix("s")) >= takes(name, env), name
