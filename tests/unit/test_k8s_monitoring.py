"""What Prometheus and Grafana are given on a cluster is what deploy/monitoring has, and finds every service."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from manifests import ADDED, OVERLAYS, ROOT, SERVICES, Object, of_kind, rendered

MONITORING = ROOT / "deploy" / "monitoring"


@pytest.fixture(params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> tuple[Object, ...]:
    return rendered(request.param, *ADDED[request.param])


def test_every_service_is_scraped_under_its_own_name_as_the_rules_ask_for_it(objects: tuple[Object, ...]) -> None:
    (monitor,) = of_kind(objects, "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    found = [item for item in of_kind(objects, "Service") if wanted <= item["metadata"]["labels"].items()]
    assert all(endpoint["port"] in (port["name"] for port in item["spec"]["ports"]) for item in found)
    jobs = {item["metadata"]["labels"][monitor["spec"]["jobLabel"]] for item in found}
    assert jobs == set(SERVICES)
    asked = re.findall(r'job=~?"([^"]+)"', (MONITORING / "rules.yml").read_text())
    assert {job for some in asked for job in some.split("|")} <= jobs


def test_rules_and_dashboard_are_those_of_the_folder_that_compose_takes(objects: tuple[Object, ...]) -> None:
    (rule,) = of_kind(objects, "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((MONITORING / "rules.yml").read_text())
    dashboard = {item["metadata"]["name"]: item for item in of_kind(objects, "ConfigMap")}["stripwatch-dashboard"]
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert dashboard["data"] == {"stripwatch.json": (MONITORING / "grafana" / "stripwatch.json").read_text()}


def test_no_object_is_too_large_for_an_apply(objects: tuple[Object, ...]) -> None:
    """`kubectl apply` keeps what it sent in an annotation, and those are 256 KiB together at most."""
    assert all(len(json.dumps(item)) < 200 * 1024 for item in objects)
