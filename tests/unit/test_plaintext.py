"""Plain text stays on this machine unless it is asked for by name."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests import environment, pods, rendered
from stripwatch.errors import SettingsInvalid
from stripwatch.runtime.plaintext import exposed_redis, exposed_target
from stripwatch.runtime.settings import ServiceSettings, StreamSettings, load
from stripwatch_preprocess.settings import PreprocessSettings

ROOT = Path(__file__).parents[2]
HERE = [
    "127.0.0.1:50051",
    "localhost:50051",
    "dns:///localhost:50051",
    "[::1]:50051",
    "ipv4:127.0.0.1:1,127.0.0.2:2",
    "ipv6:[::1]:50051",
    "unix:/run/classifier.sock",
]
ELSEWHERE = [
    ("classifier:50051", ["classifier"]),
    ("dns:///classifier:50051", ["classifier"]),
    ("ipv4:127.0.0.1:1,10.0.0.2:2", ["10.0.0.2"]),
    ("[2001:db8::1]:50051", ["[2001:db8::1]"]),
    ("localhost.example:50051", ["localhost.example"]),
    ("xds:///classifier", ["xds:///classifier"]),
]


@pytest.mark.parametrize("target", HERE)
def test_a_service_on_this_machine_is_asked_in_plain_text(target: str) -> None:
    assert exposed_target(target) == []


@pytest.mark.parametrize(("target", "hosts"), ELSEWHERE)
def test_a_service_elsewhere_is_told_by_its_host(target: str, hosts: list[str]) -> None:
    assert exposed_target(target) == hosts


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("redis://127.0.0.1:6379/0", []),
        ("redis://user:password@[::1]:6379", []),
        ("unix:///run/redis.sock", []),
        ("rediss://user:password@redis.example", []),
        ("rediss-sentinel://a:1,b:2/plant", []),
        ("redis://user:password@redis:6379/0", ["redis"]),
        ("redis-cluster://127.0.0.1:1,10.0.0.2:2", ["10.0.0.2"]),
        ("redis-sentinel://user:password@a:1,127.0.0.1:2/plant", ["a"]),
    ],
)
def test_of_a_redis_address_without_tls_the_hosts_elsewhere_are_told(url: str, hosts: list[str]) -> None:
    assert exposed_redis(url) == hosts


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (ServiceSettings, "HEALTH_HOST", "0.0.0.0"),  # noqa: S104 - what is refused
        (ServiceSettings, "HEALTH_HOST", "::"),
        (PreprocessSettings, "CLASSIFIER_ADDRESS", "dns:///classifier:50051"),
        (PreprocessSettings, "ANOMALY_ADDRESS", "10.0.0.7:50051"),
        (StreamSettings, "REDIS_URL", "redis://redis:6379/0"),
    ],
)
def test_plain_text_to_elsewhere_is_refused_by_name_and_allowed_by_name(
    cls: type[ServiceSettings], name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"STRIPWATCH_{name}", value)
    with pytest.raises(SettingsInvalid, match=f"^STRIPWATCH_{name}: .*TLS.*STRIPWATCH_PLAINTEXT=allowed"):
        load(cls)
    monkeypatch.setenv("STRIPWATCH_PLAINTEXT", "allowed")
    assert load(cls).plaintext == "allowed"


def test_with_tls_a_service_may_listen_and_ask_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "TLS_CA": "ca.pem",
        "TLS_CERTIFICATE": "own.pem",
        "TLS_KEY": "own.key",
        "HEALTH_HOST": "0.0.0.0",  # noqa: S104 - over TLS
        "CLASSIFIER_ADDRESS": "dns:///classifier:50051",
    }.items():
        monkeypatch.setenv(f"STRIPWATCH_{name}", value)
    assert load(PreprocessSettings).tls is not None
    monkeypatch.setenv("STRIPWATCH_REDIS_URL", "redis://redis:6379/0")
    with pytest.raises(SettingsInvalid, match="STRIPWATCH_REDIS_URL"):
        load(PreprocessSettings)


@pytest.mark.parametrize(
    "given", [("TLS_CERTIFICATE",), ("TLS_KEY", "TLS_CA"), ("TLS_CERTIFICATE", "TLS_KEY"), ("TLS_CA",)]
)
def test_files_for_tls_are_all_named_or_none(given: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in given:
        monkeypatch.setenv(f"STRIPWATCH_{name}", "file.pem")
    with pytest.raises(SettingsInvalid, match="TLS_CERTIFICATE, STRIPWATCH_TLS_KEY"):
        load(ServiceSettings)


@pytest.mark.parametrize("service", ["classifier", "aggregator"])
def test_a_service_that_would_listen_in_plain_text_to_everybody_ends_with_one_line(service: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", f"stripwatch_{service}"],
        env=os.environ | {"STRIPWATCH_HEALTH_HOST": "0.0.0.0"},  # noqa: S104 - what is refused
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "STRIPWATCH_HEALTH_HOST: expected a loopback address, TLS (STRIPWATCH_TLS_CERTIFICATE, STRIPWATCH_TLS_KEY, "
        "STRIPWATCH_TLS_CA), or STRIPWATCH_PLAINTEXT=allowed, got 0.0.0.0\n"
    )


def composed() -> dict[str, dict[str, str]]:
    """What each service's container is given, by the compose file over its image."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    return {name: one.get("environment", {}) for name, one in services.items()}


def deployed() -> dict[str, dict[str, str]]:
    """What each service's container is given on a cluster, over its image."""
    objects = rendered("dev")
    return {name: environment(objects, pod) for name, pod in pods(objects).items()}


@pytest.mark.parametrize("manifest", [composed, deployed])
@pytest.mark.parametrize("service", ["ingest", "preprocess", "classifier", "anomaly", "aggregator"])
def test_a_manifest_says_by_name_that_a_service_speaks_plain_text(
    manifest: Any, service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(f"stripwatch_{service}.settings")
    cls = getattr(module, f"{service.capitalize()}Settings")
    given = {"STRIPWATCH_HEALTH_HOST": "0.0.0.0", **manifest()[service]}  # noqa: S104 - the image's
    for name, text in {"REDIS_URL": "redis://plant:password@redis:6379/0\n", "SOURCE": "simulator"}.items():
        if f"STRIPWATCH_{name}_FILE" in given:
            (tmp_path / name).write_text(text)
            given[f"STRIPWATCH_{name}_FILE"] = str(tmp_path / name)
    for name, value in given.items():
        if "$" not in value:
            monkeypatch.setenv(name, value)
    assert load(cls).plaintext == "allowed"
    monkeypatch.delenv("STRIPWATCH_PLAINTEXT")
    with pytest.raises(SettingsInvalid, match="STRIPWATCH_PLAINTEXT=allowed"):
        load(cls)
