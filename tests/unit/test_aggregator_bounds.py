"""The numbers that a verdict turns on, exactly at their bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aggregator_cases import MODELS, ROLES, end, failed, pins, result, scratch, start, state
from stripwatch.domain.box import Box
from stripwatch.domain.camera import Side
from stripwatch.domain.defect import Defect
from stripwatch.domain.recipe import Disposition
from stripwatch.domain.verdict import LossReason
from stripwatch.recipes import parse_recipe
from stripwatch_aggregator import decide as decide_module
from stripwatch_aggregator.account import account
from stripwatch_aggregator.coverage import Coverage, coverage
from stripwatch_aggregator.decide import decide
from stripwatch_aggregator.disposition import Evidence, dispose

RECIPE = """
name: bounds
version: "1"
models: {classifier: steel, anomaly: texture}
required: [classifier]
healthy: [healthy]
classes: {scratches: {confidence: 0.8, review_per_m2: 2, reject_per_m2: 5, reject_size_mm: 30}}
other: {confidence: 0.8}
anomaly: {threshold: 1.5}
"""


def scratches(count: int, length_mm: float = 10) -> list[Defect]:
    return [
        Defect("scratches", Side.TOP, Box(20.0 * at, 0, length_mm, 5), 9_000, None, 1, ("c1",)) for at in range(count)
    ]


def disposed(defects: list[Defect], area_mm2: int = 3_000_000, units: int = 10_000) -> tuple[Disposition, list[str]]:
    known = state([result(0)], [end(1)])
    evidence = Evidence(
        ledger=account(known),
        coverage=Coverage(area_mm2, area_mm2, units),
        defects=defects,
        spoke=ROLES,
        models=MODELS,
        strays=(),
        beyond=0,
    )
    disposition, reasons = dispose(parse_recipe(RECIPE), evidence)
    return disposition, list(reasons)


@pytest.mark.parametrize(
    ("count", "expected", "reason"),
    [
        (6, Disposition.ACCEPT, []),
        (7, Disposition.REVIEW, ["scratches: 7 defects on 3.00 m² (more than 2 a m² asks for a review)"]),
        (15, Disposition.REVIEW, ["scratches: 15 defects on 3.00 m² (more than 2 a m² asks for a review)"]),
        (16, Disposition.REJECT, ["scratches: 16 defects on 3.00 m² (more than 5 a m² rejects)"]),
    ],
)
def test_as_many_defects_a_square_metre_as_are_allowed_are_allowed(
    count: int, expected: Disposition, reason: list[str]
) -> None:
    assert disposed(scratches(count)) == (expected, reason)


def test_a_defect_as_long_as_is_allowed_is_allowed() -> None:
    assert disposed(scratches(1, 30.0)) == (Disposition.ACCEPT, [])
    found, reasons = disposed(scratches(1, 30.1))
    assert (found, reasons) == (Disposition.REJECT, ["scratches of 30.1 mm: one longer than 30 mm rejects"])


def test_coverage_as_high_as_is_asked_for_is_enough() -> None:
    least = parse_recipe(RECIPE).min_coverage
    assert disposed([], units=least) == (Disposition.ACCEPT, [])
    assert disposed([], units=least - 1)[0] is Disposition.REVIEW


def test_areas_are_whole_mm2_and_a_loss_is_rounded_up() -> None:
    """Three frames of 20,000 mm² and one of 20,001: a lost one counts as 20,001, never as the mean."""
    seen = [replace(result(at), strip_mm2=20_000 + (at == 3)) for at in range(4)]
    known = state(seen, [end(5)])
    found = coverage(known, account(known))
    assert found == Coverage(80_000, 80_001 + 20_001, 7_999)
    assert all(isinstance(one, int) for one in (found.inspected_mm2, found.expected_mm2, found.units))


def test_a_run_of_which_nothing_is_known_is_not_covered_at_all() -> None:
    known = state([], [], start(live=True))
    assert coverage(known, account(known)) == Coverage(0, 0, 0)


def test_of_too_many_defects_the_largest_are_listed_in_their_places_and_all_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decide_module, "MOST_DEFECTS", 2)
    square = {**scratch(2, 0, 1), **scratch(2, 0, 2), **scratch(2, 1, 1), **scratch(2, 1, 2)}
    pair = {**scratch(4, 0, 0), **scratch(4, 1, 0)}
    known = state([result(0, scratch(0)), result(2, square), result(4, pair), result(6, scratch(6))], [end(7)])
    verdict = decide(known, account(known), 1)
    assert verdict.found == 4
    assert [(one.box.x_mm, one.tiles) for one in verdict.defects] == [(200.0, 4), (400.0, 2)]


def test_a_verdict_names_the_recipe_that_it_was_judged_by_and_by_its_hash() -> None:
    known = state([result(0)], [end(1)])
    verdict = decide(known, account(known), 1)
    pinned = parse_recipe(pins().recipe_text)
    assert (verdict.recipe, verdict.recipe_version, verdict.recipe_sha256) == ("test", "1", pinned.sha256)


def test_a_failed_frame_whose_reason_was_not_kept_is_failed_all_the_same() -> None:
    known = replace(
        state([failed(0, "broken"), failed(1, "torn"), result(2)], [end(3)]), failures={("c1", 0): "broken"}
    )
    (camera,) = account(known).cameras
    assert [(loss.reason, loss.frames.first, loss.detail) for loss in camera.lost] == [
        (LossReason.FAILED, 0, "broken"),
        (LossReason.FAILED, 1, ""),
    ]
