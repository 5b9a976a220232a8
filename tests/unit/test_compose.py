"""The compose file is one that compose takes, and runs Redis and the five services."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
SERVICES = {"ingest", "preprocess", "classifier", "anomaly", "aggregator"}


def compose_services() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"])


def test_compose_takes_the_file() -> None:
    if not shutil.which("docker-compose"):
        pytest.skip("needs docker-compose (make system)")
    command = ["docker-compose", "-f", str(ROOT / "docker-compose.yml"), "--profile", "demo", "config", "--services"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert set(listed) == SERVICES | {"redis"}


def test_compose_runs_redis_and_the_five_services() -> None:
    assert set(compose_services()) == SERVICES | {"redis"}
