"""The compose file: compose takes it, every container is held as tight as it can be, every setting in it exists."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stripwatch.models.settings import ModelServiceSettings
from stripwatch.runtime.settings import PREFIX, RedisSettings, ServiceSettings, TransportSettings
from stripwatch_aggregator.settings import AggregatorSettings
from stripwatch_ingest.settings import IngestSettings
from stripwatch_preprocess.settings import PreprocessSettings

ROOT = Path(__file__).parent.parent.parent
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
SETTINGS: dict[str, type[ServiceSettings]] = {
    "ingest": IngestSettings,
    "preprocess": PreprocessSettings,
    "classifier": ModelServiceSettings,
    "anomaly": ModelServiceSettings,
    "aggregator": AggregatorSettings,
}
BUILT = {name for name, service in SERVICES.items() if "build" in service}
MONITORING = {name for name, service in SERVICES.items() if "monitoring" in service.get("profiles", [])}
SCALED = ("preprocess", "classifier", "anomaly")
DISTROLESS = {"otel-collector"}
"""Images without any program that a health check could run."""
RELEASE = re.compile(r"[A-Za-z0-9./_-]+:v?\d+\.\d+\.\d+[a-z0-9.-]*")

every_service = pytest.mark.parametrize("name", SERVICES)


def compose(*arguments: str) -> str:
    if not shutil.which("docker-compose"):
        pytest.skip("needs docker-compose (make system)")
    command = ["docker-compose", "-f", str(ROOT / "docker-compose.yml"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_compose_takes_the_file_with_all_its_profiles() -> None:
    profiles = [part for name in ("demo", "tools", "monitoring") for part in ("--profile", name)]
    assert set(compose(*profiles, "config", "--services").split()) == set(SERVICES)


def test_without_a_profile_it_is_the_pipeline_without_a_camera() -> None:
    without = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert without == {"redis-users", "redis", "classifier", "anomaly", "preprocess", "aggregator"}
    assert SERVICES["ingest"]["profiles"] == ["demo"]


def test_each_of_our_services_has_an_image_built_from_its_own_target() -> None:
    assert {*SETTINGS, "cli"} == BUILT
    for name in BUILT:
        assert SERVICES[name]["build"]["target"] == name
        assert SERVICES[name]["image"] == f"stripwatch-{name}:${{TAG:-latest}}"


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - BUILT))
def test_what_others_made_is_pinned_to_a_release(name: str) -> None:
    assert RELEASE.fullmatch(SERVICES[name]["image"])


@every_service
def test_every_container_is_read_only_and_gains_nothing(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "devices", "pid", "ipc", "network_mode"}


def test_only_what_hands_out_the_passwords_keeps_capabilities_and_it_ends() -> None:
    assert [name for name, service in SERVICES.items() if "cap_add" in service] == ["redis-users"]
    assert SERVICES["redis-users"]["restart"] == "no"


@every_service
def test_every_container_has_its_share_of_the_machine(name: str) -> None:
    service = SERVICES[name]
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["pids_limit"]
    assert service["logging"]["options"]["max-size"]  # logs do not fill the disk


@every_service
def test_whatever_stays_up_comes_up_again_and_says_how_it_is(name: str) -> None:
    service = SERVICES[name]
    if service["restart"] == "no":
        assert name in ("redis-users", "cli")
        return
    assert service["restart"] == "unless-stopped"
    assert name in DISTROLESS or service["healthcheck"]["test"][0] == "CMD"


def test_who_needs_another_waits_until_it_is_healthy() -> None:
    waits = {name: service.get("depends_on", {}) for name, service in SERVICES.items() if name not in MONITORING}
    assert waits.pop("redis") == {"redis-users": {"condition": "service_completed_successfully"}}
    for others in waits.values():
        assert all(condition == {"condition": "service_healthy"} for condition in others.values())
    assert waits["preprocess"].keys() == {"redis", "classifier", "anomaly"}
    assert waits["aggregator"].keys() == {"redis"}
    assert waits["ingest"].keys() == {"redis", "preprocess", "aggregator"}


@every_service
def test_ports_are_open_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        host, _, _ = port.partition(":")
        assert ipaddress.ip_address(host).is_loopback


@pytest.mark.parametrize("name", SCALED)
def test_what_is_scaled_has_nothing_that_there_can_be_one_of(name: str) -> None:
    assert not SERVICES[name].keys() & {"ports", "container_name", "hostname"}


@every_service
def test_only_who_has_something_outside_is_on_a_network_that_leads_there(name: str) -> None:
    networks = SERVICES[name]["networks"]
    assert "pipeline" in networks
    assert ("edge" in networks) == (name == "ingest" or name in DISTROLESS or "ports" in SERVICES[name])


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_one_of_its_service(name: str) -> None:
    known = {f"{PREFIX}{field.upper()}" for field in SETTINGS[name].model_fields}
    given = {key.removesuffix("_FILE") for key in SERVICES[name]["environment"]}
    assert given <= known
    assert SERVICES[name]["environment"]["STRIPWATCH_METRICS_PORT"] == "9464"


def test_the_command_line_is_told_what_it_understands() -> None:
    known = {f"{PREFIX}{field.upper()}" for kind in (RedisSettings, TransportSettings) for field in kind.model_fields}
    assert {key.removesuffix("_FILE") for key in SERVICES["cli"]["environment"]} <= known


def test_the_page_s_example_of_a_camera_is_one_that_compose_takes(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "compose.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    override = tmp_path / "docker-compose.override.yml"
    override.write_text(example)
    merged = yaml.safe_load(compose("-f", str(override), "config"))["services"]["ingest"]
    assert merged["read_only"]
    assert merged["secrets"]
    assert merged["environment"].keys() > SERVICES["ingest"]["environment"].keys()


def test_no_password_is_in_the_file() -> None:
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            assert key.endswith("_FILE") or not re.search(r"PASSWORD|SECRET|TOKEN|_URL$", key), key
            assert "@" not in str(value)
