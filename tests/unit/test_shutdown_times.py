"""Whoever ends a service gives it the time that it takes by its own settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from manifests import OVERLAYS, environment, pods, rendered
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


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_waits_for_every_service_for_as_long_as_it_drains(overlay: str) -> None:
    objects = rendered(overlay)
    for name, pod in pods(objects).items():
        service = name.partition("-")[0]
        if service in SETTINGS:
            env = environment(objects, pod)
            assert pod["spec"]["terminationGracePeriodSeconds"] >= takes(service, env), name
            answers = issubclass(SETTINGS[service], AnsweringSettings)
            assert not answers or float(env["STRIPWATCH_SHUTDOWN_DELAY_SECONDS"]) > 0, name


def test_compose_waits_for_every_service_for_as_long_as_it_drains() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in SETTINGS.keys() & services.keys():
        env = {key: str(value) for key, value in services[name].get("environment", {}).items()}
        assert float(services[name]["stop_grace_period"].removesuffix("s")) >= takes(name, env), name
