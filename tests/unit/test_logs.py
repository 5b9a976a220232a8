"""Fields of logs: one name each, all of them on the page."""

from __future__ import annotations

import ast
import json
import logging
import re
from pathlib import Path
from typing import Any

from aggregator_cases import end, header, result, state
from stripwatch.domain.frame import RunId
from stripwatch.runtime.logging import HumanFormatter, JsonFormatter, of_frame, of_run
from stripwatch_aggregator.account import account
from stripwatch_aggregator.decide import decide
from stripwatch_aggregator.summary import summary

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "observability.md"
LEVELS = {"debug", "info", "warning", "error", "exception"}
RUN = RunId("line1", "coil7", "r1")


def modules() -> list[Path]:
    found = [*(ROOT / "shared").rglob("*.py"), *(ROOT / "services").rglob("*.py")]
    return [path for path in found if "stripwatch_train" not in path.parts]


def fields_of(path: Path) -> set[str]:
    """Keys of the `extra` of each log, also of one that was given a name before."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found: set[str] = set()
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr not in LEVELS:
            continue
        for given in [one.value for one in call.keywords if one.arg == "extra"]:
            for value in ast.walk(given):
                told = named.get(value.id) if isinstance(value, ast.Name) else value
                if isinstance(told, ast.Dict):
                    found |= {key.value for key in told.keys if isinstance(key, ast.Constant)}
    return found


def listed() -> set[str]:
    table = PAGE.read_text(encoding="utf-8").partition("## Logs")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_the_page_lists_every_field_that_a_log_has() -> None:
    found = set().union(*(fields_of(path) for path in modules()))
    assert {"reason", "entry", "peer"} <= found
    assert found <= listed()
    one = state([result(0)], [end(1)])
    verdict = summary(decide(one, account(one), 1))
    made = {*verdict, *of_frame(header(0)), "trace_id", "span_id", "time", "level", "service", "message", "exception"}
    assert made <= listed()


def test_no_message_names_a_run_or_a_line_that_a_field_should_hold() -> None:
    """Once the run stood in the text of some and in the fields of others: nobody could look for it."""
    told = []
    for path in modules():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(r"\blog\.(debug|info|warning|error|exception)\(\"(%s:|line %s)", line):
                told.append(f"{path.relative_to(ROOT)}:{number}")
    assert told == []


def record(**fields: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": "verdict", "levelname": "INFO", "created": 0.0, **fields})


def test_json_holds_each_part_of_a_run_by_itself() -> None:
    told = json.loads(JsonFormatter("aggregator").format(record(**of_run(RUN), disposition="accept")))
    assert told == {
        "time": "1970-01-01T00:00:00.000+00:00",
        "level": "info",
        "service": "aggregator",
        "message": "verdict",
        "line": "line1",
        "strip": "coil7",
        "run": "r1",
        "disposition": "accept",
    }


def test_a_terminal_shows_a_run_as_one_word() -> None:
    told = HumanFormatter("aggregator").format(record(**of_run(RUN), disposition="accept"))
    assert told == "00:00:00 INFO    aggregator   verdict run=line1/coil7/r1 disposition=accept"
    assert HumanFormatter("ingest").format(record(line="line1")).endswith("verdict line=line1")
