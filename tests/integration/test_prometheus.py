"""A real Prometheus reads the running services: what it is asked has an answer, and what is killed makes an alert."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis_servers import binaries, free_port, wait_for
from redis_servers import running as redis_server

from monitoring_queries import panel_queries
from preprocess_process import service
from stripwatch.rpc.health import status
from tiny_models import write_pair

MONITORING = Path(__file__).parent.parent.parent / "deploy" / "monitoring"
LONG_S = 120.0

pytestmark = pytest.mark.skipif(not shutil.which("prometheus"), reason="needs prometheus (make system)")


@dataclass(frozen=True)
class Plant:
    """Strips without end through all five services."""

    pages: Mapping[str, int]
    """The port of each one's page of metrics."""
    processes: Mapping[str, subprocess.Popen[Any]]
    """The services', and Redis'."""


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    found = binaries()
    if not found:
        pytest.skip("no redis-server here")
    write_pair(tmp_path / "models")
    pages = {name: free_port() for name in ("classifier", "anomaly", "preprocess", "aggregator", "ingest")}
    ports = {name: free_port() for name in pages}
    with ExitStack() as running:
        redis = running.enter_context(redis_server(next(iter(found.values())), tmp_path, "--maxmemory", "256mb"))
        processes: dict[str, subprocess.Popen[Any]] = {"redis": redis.process}
        models = {"models": tmp_path / "models", "engine_workers": 1}
        stream = {"redis_url": f"redis://127.0.0.1:{redis.port}"}
        asks = {f"{name}_address": f"127.0.0.1:{ports[name]}" for name in ("classifier", "anomaly")}
        strips = {"sim_strips": 0, "sim_defects": "2", "length_mm": 2000, "speed_m_per_s": 4, "cameras": 2}
        own: dict[str, Mapping[str, object]] = {
            "classifier": models,
            "anomaly": models,
            "preprocess": stream | asks,
            "aggregator": stream,
            "ingest": stream | strips,
        }
        for name, page in pages.items():
            settings = {"health_port": ports[name], "metrics_port": page, "log_level": "ERROR", **own[name]}
            processes[name] = running.enter_context(service(name, **settings))
            wait_for(lambda name=name: status(f"127.0.0.1:{ports[name]}", 1.0) == "SERVING", name, LONG_S)
        yield Plant(pages, processes)


class Prometheus:
    """The API of a running Prometheus."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._address}/-/ready"):  # noqa: S310 - a URL of ours
                return True
        except urllib.error.URLError:
            return False

    def query(self, expr: str) -> list[dict[str, Any]]:
        query = urllib.parse.urlencode({"query": expr})
        with urllib.request.urlopen(f"{self._address}/api/v1/query?{query}") as answer:  # noqa: S310 - a URL of ours
            return list(json.load(answer)["data"]["result"])

    def firing(self) -> set[tuple[str, str]]:
        """Alerts that fire, with whom they are about."""
        found = [one["metric"] for one in self.query('ALERTS{alertstate="firing"}')]
        about = ("stage", "service", "job")
        return {(one["alertname"], next((one[label] for label in about if label in one), "")) for one in found}

    def numbers(self, expr: str) -> list[float]:
        """What the expression is now, of each series; those that are 0 / 0 left out."""
        values = (float(one["value"][1]) for one in self.query(expr))
        return [value for value in values if not math.isnan(value)]


@contextmanager
def prometheus(folder: Path, plant: Plant, *, patient: bool) -> Iterator[Prometheus]:
    """With our own configuration, but that there is no DNS here to find the services by, and no time to wait.

    Unless it is `patient`, alerts fire as soon as they are true.
    """
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] = dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), "1s")
    services, itself = config["scrape_configs"]
    del services["dns_sd_configs"]
    services["static_configs"] = [
        {"targets": [f"127.0.0.1:{page}"], "labels": {"__meta_dns_name": name}} for name, page in plant.pages.items()
    ]
    port = free_port()
    itself["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    rules = yaml.safe_load((MONITORING / "rules.yml").read_text())
    for group in rules["groups"]:
        group.pop("interval", None)
        for rule in group["rules"] if not patient else ():
            rule.pop("for", None)
    for name, content in (("prometheus.yml", config), ("rules.yml", rules)):
        (folder / name).write_text(yaml.safe_dump(content))
    command = [
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        api = Prometheus(port)
        wait_for(api.ready, (folder / "prometheus.log").read_text(), LONG_S)
        yield api
    finally:
        process.kill()
        process.wait()


def test_every_panel_has_data_and_no_alert_fires_while_strips_are_inspected(plant: Plant, tmp_path: Path) -> None:
    left = panel_queries(json.loads((MONITORING / "grafana" / "stripwatch.json").read_text()))
    with prometheus(tmp_path, plant, patient=True) as api:

        def all_answered() -> bool:
            left[:] = [(title, expr) for title, expr in left if not api.numbers(expr)]
            return not left

        with suppress(TimeoutError):
            wait_for(all_answered, "data in every panel", LONG_S)
        assert not left
        assert api.numbers('sum(up{job!="prometheus"})') == [len(plant.pages)]
        assert not api.firing()


def test_whoever_is_killed_makes_alerts_also_where_nothing_is_left_to_say_so(plant: Plant, tmp_path: Path) -> None:
    with prometheus(tmp_path, plant, patient=False) as api:

        def fires(*alerts: tuple[str, str]) -> None:
            wait_for(lambda: api.firing() >= set(alerts), f"{alerts}", LONG_S)

        wait_for(lambda: not api.firing() and bool(api.query("stripwatch_workers")), "a quiet line", LONG_S)
        plant.processes["preprocess"].kill()
        fires(
            ("StripwatchNoWorker", "preprocess"),
            ("StripwatchServiceNotReady", "preprocess"),
            ("StripwatchReplicaDown", "preprocess"),
        )
        plant.processes["redis"].kill()
        fires(("StripwatchRedisUnseen", ""), ("StripwatchServiceNotReady", "aggregator"))
