"""Verdicts and alarms as the plant reads them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from aggregator_cases import RECIPE, RUN, end, failed, result, rules, scratch, start, state, tile
from stripwatch.domain.frame import IndexRange
from stripwatch.domain.strip import Shed
from stripwatch.ports import Event
from stripwatch.rpc.codec.verdicts import decode_alarm, decode_verdict
from stripwatch_aggregator.account import account
from stripwatch_aggregator.alarms import alarms_of
from stripwatch_aggregator.decide import decide
from stripwatch_aggregator.event import alarm_event, timestamp, verdict_event

DOCS = Path(__file__).parents[2] / "docs"


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DOCS / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(loaded)
    return loaded


def checked(event: Event, name: str) -> dict[str, Any]:
    """The event's data, after envelope and data were held against their schemas."""
    envelope = json.loads(event.json)
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(schema("event"), format_checker=checker).validate(envelope)
    jsonschema.Draft202012Validator(schema(name), format_checker=checker).validate(envelope["data"])
    data: dict[str, Any] = envelope["data"]
    return data


def event_of(recipe: str | None = RECIPE) -> Event:
    anomalous = {(0, 0): tile(300, 0, anomaly=31_234), (1, 0): tile(350, 0, anomaly=20_000)}
    results = [result(0), result(1, scratch(1)), failed(2, "truncated ✂"), result(3, anomalous)]
    shed = (Shed(IndexRange(4, 5), "byte budget"),)
    given = state(results, [end(7, shed=shed)], start(cameras=("c1", "b1")), recipe)
    return verdict_event(decide(given, account(given), 1_700_000_000_123_456_789))


def test_a_verdict_matches_its_published_schema() -> None:
    data = checked(event_of(), "verdict")
    assert (data["partId"], data["jobId"], data["isPartial"], data["resultState"]) == ("strip7", "run1", True, 3)
    assert data["defects"][0] == {
        "label": "scratches",
        "side": "top",
        "x_mm": 100.0,
        "y_mm": 50.0,
        "length_mm": 50.0,
        "width_mm": 50.0,
        "confidence": 0.95,
        "anomaly": 0.2,
        "tiles": 1,
        "cameras": ["c1"],
    }
    assert (data["defects"][1]["confidence"], data["defects"][1]["anomaly"]) == (None, 3.1234)
    assert data["cameras"][0]["lost"][0] == {"first": 2, "last": 2, "reason": "failed", "detail": "truncated ✂"}
    assert data["creationTime"] == "2023-11-14T22:13:20.123456Z"


def test_a_verdict_on_a_run_that_no_worker_took_up_matches_too() -> None:
    assert checked(event_of(recipe=None), "verdict")["internalRecipeId"] == ""


def test_the_protobuf_message_says_the_same() -> None:
    event = event_of()
    verdict = decode_verdict(event.body)
    assert verdict_event(verdict) == event
    assert event.event_id == verdict.verdict_id == json.loads(event.json)["id"]


def test_an_alarm_matches_its_published_schema_and_keeps_its_id() -> None:
    (alarm,) = alarms_of(result(3, {**scratch(3), **scratch(3, 1, 3)}), rules(), 5)
    event = alarm_event(alarm)
    data = checked(event, "alarm")
    assert (data["label"], data["frame"], data["x_mm"]) == ("scratches", 3, 300.0)
    assert decode_alarm(event.body) == alarm
    (later,) = alarms_of(result(9, scratch(9)), rules(), 6)
    assert alarm_event(later).event_id == event.event_id
    assert event.run == RUN


def test_an_alarm_carries_the_picture_that_the_worker_kept() -> None:
    (place, scratched), *_ = scratch(3).items()
    (alarm,) = alarms_of(result(3, {place: replace(scratched, crop=b"jpeg")}), rules(), 5)
    assert alarm.crop == b"jpeg"


def test_a_single_anomalous_tile_raises_no_alarm() -> None:
    assert alarms_of(result(0, {(0, 0): tile(0, 0, anomaly=30_000)}), rules(), 5) == []


@pytest.mark.parametrize(
    "change", [{"extra": 1}, {"coverage": 1.5}, {"disposition": "maybe"}, {"internalRecipeId": "x"}]
)
def test_the_schema_is_strict(change: dict[str, Any]) -> None:
    data = json.loads(event_of().json)["data"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, **change}, schema("verdict"))


def test_times_are_utc_to_the_microsecond() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00.000000Z"
    assert timestamp(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456Z"


def test_the_field_table_for_the_mes_lists_what_the_schema_has() -> None:
    def names(part: dict[str, Any], prefix: str = "") -> dict[str, str]:
        found = {}
        for name, inner in part.get("properties", {}).items():
            found[prefix + name] = inner["description"]
            found |= names(inner.get("items", inner), f"{prefix}{name}{'[].' if inner.get('type') == 'array' else '.'}")
        return found

    table = (DOCS / "mes.md").read_text(encoding="utf-8").partition("## Fields\n")[2]
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", table, re.MULTILINE)
    assert dict(rows) == names(schema("verdict"))
