"""Rules, dashboard and runbooks fit together, and speak of metrics that there are."""

from __future__ import annotations

import importlib
import itertools
import json
import pkgutil
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from monitoring_queries import panel_queries, panels
from stripwatch.cli.main import app
from stripwatch.runtime import metrics
from stripwatch.runtime.metrics.lines import LINE_LOOKS
from stripwatch.runtime.metrics.scores import TILE_SCORES

ROOT = Path(__file__).parent.parent.parent
MONITORING = ROOT / "deploy" / "monitoring"
RUNBOOKS = ROOT / "docs" / "runbooks"
SETTINGS = (ROOT / "docs" / "settings.md").read_text()
DASHBOARD = json.loads((MONITORING / "grafana" / "stripwatch.json").read_text())
QUESTIONS = [
    "Are strips getting verdicts?",
    "Is anything lost?",
    "Where is the time going?",
    "What needs more replicas?",
]

RULES = [rule for group in yaml.safe_load((MONITORING / "rules.yml").read_text())["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDS = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}
EXPRESSIONS = [*(rule["expr"] for rule in RULES), *(expr for _, expr in panel_queries(DASHBOARD))]

TARGET = {"job", "instance"}
"""Labels that Prometheus gives to whatever it scrapes."""
OTHERS = {
    "up": TARGET,
    "ALERTS": {"alertname", "alertstate", "severity"},
    "process_cpu_seconds_total": TARGET,
    "process_resident_memory_bytes": TARGET,
}
_SELECTOR = re.compile(rf"\b(stripwatch[_:][\w:]+|{'|'.join(OTHERS)})\b(?:{{([^}}]*)}})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
_GROUPING = re.compile(r"\b(?:by|on|group_left|without|ignoring)\s*\(([^)]*)\)")
_MADE = re.compile(r'"(\w+)",\s*"\$1"')
_LEGEND = re.compile(r"{{\s*(\w+)\s*}}")


def promtool(*arguments: str | Path) -> None:
    if not shutil.which("promtool"):
        pytest.skip("needs promtool (make system)")
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@cache
def counted() -> dict[str, set[str]]:
    """Every metric that our code knows, by the names of its samples, with its labels."""
    found: dict[str, set[str]] = dict(OTHERS)
    for module in pkgutil.iter_modules(metrics.__path__, f"{metrics.__name__}."):
        for one in vars(importlib.import_module(module.name)).values():
            if isinstance(one, MetricWrapperBase):
                for family in one.describe():
                    found |= samples(family, set(one._labelnames))
    for family in (*LINE_LOOKS.collect(), *TILE_SCORES.collect()):
        found |= samples(family, set(vars(family)["_labelnames"]))
    return found


def samples(family: Metric, labels: set[str]) -> dict[str, set[str]]:
    if family.type == "histogram":
        bucket = {f"{family.name}_bucket": labels | {"le"}}
        return bucket | {f"{family.name}_{part}": labels for part in ("sum", "count")}
    return {f"{family.name}_total" if family.type == "counter" else family.name: labels}


def labels_of(name: str) -> set[str]:
    """Those of a metric, or of what a recording rule makes; KeyError if it does not exist."""
    return labels_in(RECORDS[name]) if name in RECORDS else counted()[name] | TARGET


def labels_in(expr: str) -> set[str]:
    """Every label that an expression's metrics have, or that it makes."""
    metrics_labels = (labels_of(name) for name, _ in _SELECTOR.findall(expr))
    return set().union(*metrics_labels, _MADE.findall(expr))


def groupings(expr: str) -> set[str]:
    return {label.strip() for some in _GROUPING.findall(expr) for label in some.split(",") if label.strip()}


def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    promtool("check", "config", MONITORING / "prometheus.yml")


def test_every_alert_fires_in_its_story_and_not_in_the_one_beside_it() -> None:
    promtool("test", "rules", MONITORING / "rules.test.yml")


def test_every_alert_has_a_story_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    stories = yaml.safe_load((MONITORING / "rules.test.yml").read_text())["tests"]
    cases = [case for story in stories for case in story.get("alert_rule_test", ())]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == set(ALERTS)
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("page", "ticket", "info")
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    page = (RUNBOOKS / f"{name}.md").read_text()
    assert page.startswith(f"# {name}\n")
    assert rule["labels"]["severity"] in page.split("\n## ")[0]
    for part in ("What it means", "How to see it", "Likely causes", "What to do", "How to know that it is over"):
        assert f"\n## {part}\n" in page


def test_every_runbook_belongs_to_an_alert_and_the_index_names_them_all() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == set(ALERTS)
    index = (RUNBOOKS / "README.md").read_text()
    listed = re.findall(r"\[(\w+)\]\((\w+)\.md\) \| (\w+) \|", index)
    assert {(name, name, ALERTS[name]["labels"]["severity"]) for name in pages} == set(listed)


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_a_runbook_names_panels_pages_settings_and_commands_that_there_are(path: Path) -> None:
    text = path.read_text()
    titles = {panel["title"] for panel in panels(DASHBOARD)}
    assert set(re.findall(r"[Pp]anel \*([^*]+)\*", text)) <= titles
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (path.parent / target).exists(), target
    assert set(re.findall(r"STRIPWATCH_\w+", text)) <= set(re.findall(r"STRIPWATCH_\w+", SETTINGS))
    for words in re.findall(r"`stripwatch ([^`]+)`", text):
        assert_is_command(words.split())


def assert_is_command(words: list[str]) -> None:
    """Walks down the command line's tree as far as it has branches, then looks at the options."""
    command: Any = typer.main.get_command(app)
    while branches := getattr(command, "commands", {}):
        assert words[0] in branches, words
        command = branches[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= options


@pytest.mark.parametrize("expr", sorted(set(EXPRESSIONS)))
def test_an_expression_names_metrics_and_labels_that_there_are(expr: str) -> None:
    for name, matchers in _SELECTOR.findall(expr):
        assert name in RECORDS or name in counted(), name
        assert set(_MATCHER.findall(matchers)) <= labels_of(name)
    assert groupings(expr) <= labels_in(expr)


def test_every_query_of_the_dashboard_can_be_parsed(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": expr} for number, (_, expr) in enumerate(panel_queries(DASHBOARD))]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", file)


def test_the_dashboard_answers_four_questions_from_top_to_bottom() -> None:
    rows = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert [row["title"] for row in sorted(rows, key=lambda row: int(row["gridPos"]["y"]))] == QUESTIONS


def test_panels_have_ids_and_places_of_their_own() -> None:
    every = panels(DASHBOARD)
    assert len({panel["id"] for panel in every}) == len(every)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in every)
    for one, other in itertools.combinations(every, 2):
        assert not overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size] for at, size in (("x", "w"), ("y", "h"))
    )


@pytest.mark.parametrize(
    "panel", [panel for panel in panels(DASHBOARD) if panel["type"] != "row"], ids=lambda panel: panel["title"]
)
def test_a_panel_says_what_it_shows_in_which_unit_and_names_its_series(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    if panel["type"] in ("stat", "timeseries"):
        assert panel["fieldConfig"]["defaults"]["unit"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        expr = target["expr"]
        assert set(_LEGEND.findall(target["legendFormat"])) <= (groupings(expr) or labels_in(expr)) | (
            {"le"} if "by (le)" in expr else set()
        )


def test_grafanas_data_source_knows_how_often_is_scraped() -> None:
    (source,) = yaml.safe_load((MONITORING / "grafana/provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    scraped = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scraped


def test_prometheus_asks_every_service_by_its_name() -> None:
    services, itself = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    (by_name,) = services["dns_sd_configs"]
    assert set(by_name["names"]) == {"ingest", "preprocess", "classifier", "anomaly", "aggregator"}
    assert (by_name["type"], by_name["port"]) == ("A", 9464)
    assert itself["job_name"] == "prometheus"


def test_the_collectors_pipeline_is_made_of_what_is_configured() -> None:
    config = yaml.safe_load((MONITORING / "otel-collector.yml").read_text())
    for pipeline in config["service"]["pipelines"].values():
        assert pipeline["receivers"]
        assert pipeline["exporters"]
        for kind, names in pipeline.items():
            assert set(names) <= set(config[kind])
