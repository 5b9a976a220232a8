"""What the Dockerfile promises that no builder checks."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "deploy/Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SERVICES = ("ingest", "preprocess", "classifier", "anomaly", "aggregator")
HEALTH = ["python", "-m", "stripwatch.rpc.health", "127.0.0.1:50051"]


def stages() -> dict[str, str]:
    """Text of each stage by its name."""
    parts = re.split(r"^FROM \S+ AS (\S+)\n", TEXT.replace("\\\n", ""), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def instruction(stage: str, name: str) -> str:
    found = re.findall(rf"^{name} (.+)$", stages()[stage], flags=re.MULTILINE)
    assert len(found) == 1
    return str(found[0])


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_started_by_tini_as_a_user_who_is_a_number(service: str) -> None:
    assert json.loads(instruction(service, "ENTRYPOINT")) == ["tini", "--", "python", "-m", f"stripwatch_{service}"]
    assert instruction(service, "USER") == "10001:10001"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_s_dependencies_are_its_own_extra_s(service: str) -> None:
    assert instruction(service, "COPY --from=install-" + service) == "/opt/stripwatch /opt/stripwatch"
    assert json.loads(instruction(f"install-{service}", "RUN"))[:3] == ["sh", "/install.sh", service]
    assert service in PROJECT["project"]["optional-dependencies"]


def test_health_is_asked_by_our_own_command() -> None:
    assert json.loads(instruction("service", "HEALTHCHECK").partition("CMD ")[2]) == HEALTH


def test_the_version_on_the_label_is_the_version() -> None:
    assert f"ARG VERSION={PROJECT['project']['version']}\n" in TEXT


def test_every_shipped_model_stays_out_of_the_wheel() -> None:
    shipped = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    made = re.search(r"mkdir -p (.+?) &&", stages()["wheel"])
    assert made
    assert set(made[1].split()) == set(shipped)


def test_a_builder_without_buildkit_takes_it() -> None:
    assert not re.search(r"^# syntax|^RUN --|<<|--link|--chmod|\$TARGET", TEXT, flags=re.MULTILINE)


def test_what_is_copied_is_not_held_back() -> None:
    kept = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}
    lines = re.findall(r"^COPY (?!--from)(.+)$", TEXT, flags=re.MULTILINE)
    assert {source for line in lines for source in line.split()[:-1]} == kept


def test_no_address_to_install_from_is_in_an_image() -> None:
    install = (ROOT / "deploy/install.sh").read_text()
    assert not re.search(r"https?://|index-url|find-links|trusted-host", TEXT + install)
