"""The golden gate says where two verdicts differ, and only where it matters."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from stripwatch.errors import BadInput
from stripwatch.testing.golden import IGNORED, MISSING, compare, compare_all, load, store

VERDICT: dict[str, Any] = {
    "id": "a",
    "source": "/stripwatch/lines/line1",
    "time": "2026-01-01T00:00:00Z",
    "data": {
        "jobId": "r1",
        "line": "line1",
        "disposition": "review",
        "coverage": 1.0,
        "isPartial": False,
        "defects": [{"label": "scratches", "x_mm": 100.0}, {"label": "patches", "x_mm": 300.0}],
    },
}


def changed(**data: Any) -> dict[str, Any]:
    other = copy.deepcopy(VERDICT)
    other["data"].update(data)
    return other


def test_two_runs_of_the_same_frames_agree() -> None:
    other = changed(jobId="r2", line="line2", resultId="x", creationTime="later", processingTimes={"endTime": "later"})
    other |= {"id": "b", "time": "2027-01-01T00:00:00Z", "source": "/stripwatch/lines/line2"}
    assert compare(VERDICT, other) is None


def test_the_first_field_that_differs_is_named_by_its_path() -> None:
    other = copy.deepcopy(VERDICT)
    other["data"]["defects"][1]["x_mm"] = 400.0
    found = compare(VERDICT, other)
    assert found is not None
    assert (found.path, found.expected, found.got) == ("$.data.defects[1].x_mm", 300.0, 400.0)
    assert str(found) == "$.data.defects[1].x_mm: expected 300.0, got 400.0"


def test_a_field_too_many_or_too_few_differs() -> None:
    found = compare(VERDICT, changed(extra=1))
    assert found is not None
    assert found.path == "$.data.extra"
    assert found.expected is MISSING
    assert str(found) == "$.data.extra: expected nothing, got 1"
    short = changed(defects=VERDICT["data"]["defects"][:1])
    found = compare(VERDICT, short)
    assert found is not None
    assert found.path == "$.data.defects[1]"
    assert found.got is MISSING


def test_true_is_not_one() -> None:
    found = compare(changed(isPartial=True), changed(isPartial=1))
    assert found is not None
    assert found.path == "$.data.isPartial"


@pytest.mark.parametrize("field", ["disposition", "coverage", "isPartial", "defects"])
def test_no_field_of_the_decision_is_ignored(field: str) -> None:
    assert not any(path.startswith(f"$.data.{field}") for path in IGNORED)
    assert compare(VERDICT, changed(**{field: "other"})) is not None


def test_another_number_of_verdicts_differs() -> None:
    found = compare_all([VERDICT], [VERDICT, VERDICT])
    assert found is not None
    assert (found.path, found.expected, found.got) == ("$.length", 1, 2)
    found = compare_all([VERDICT, VERDICT], [VERDICT, changed(coverage=0.5)])
    assert found is not None
    assert found.path == "$[1].data.coverage"


def test_stored_verdicts_come_back(tmp_path: Path) -> None:
    place = tmp_path / "golden" / "strip.json"
    store(place, [VERDICT])
    assert compare_all(load(place), [VERDICT], ignored=()) is None


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]"])
def test_what_is_no_stored_verdict_is_refused_by_name(tmp_path: Path, text: str) -> None:
    place = tmp_path / "strip.json"
    place.write_text(text)
    with pytest.raises(BadInput, match=r"strip\.json"):
        load(place)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--stripwatch-golden-update` stores them"):
        load(tmp_path / "none.json")
