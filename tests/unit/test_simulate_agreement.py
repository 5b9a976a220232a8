"""Verdicts against the truth: what counts as found, what as stray."""

from __future__ import annotations

from stripwatch.domain.box import Box
from stripwatch.domain.camera import Side
from stripwatch.domain.defect import Defect
from stripwatch.simulate import Flaw
from stripwatch.simulate.agreement import compare

TILE_MM = 100.0


def flaw(label: str, x_mm: float, size_mm: float = 40.0, side: Side = Side.TOP) -> Flaw:
    return Flaw(label, side, Box(x_mm, 100, size_mm, size_mm), 1, 40.0, (10, 10))


def defect(label: str, x_mm: float, side: Side = Side.TOP) -> Defect:
    return Defect(label, side, Box(x_mm, 100, 100, 100), 9_000, None, 1, ("top-1",))


def test_a_defect_of_the_class_on_or_beside_the_flaw_finds_it() -> None:
    for x_mm in (1000, 1010, 1130, 810):
        agreement = compare([flaw("patches", 1000)], [defect("patches", x_mm)], TILE_MM)
        assert agreement.holds
        assert agreement.pairs[0][1] is not None


def test_another_class_another_side_or_far_away_does_not() -> None:
    for other in (defect("crazing", 1000), defect("patches", 1000, Side.BOTTOM), defect("patches", 1300)):
        assert compare([flaw("patches", 1000)], [other], TILE_MM).missed


def test_a_flaw_too_small_to_be_asked_for_is_not_missed() -> None:
    assert compare([flaw("patches", 1000, size_mm=15.0)], [], TILE_MM).holds


def test_a_defect_far_from_any_flaw_is_stray() -> None:
    agreement = compare([flaw("patches", 1000)], [defect("patches", 1000), defect("patches", 3000)], TILE_MM)
    assert [one.box.x_mm for one in agreement.stray] == [3000]
    assert not agreement.holds


def test_a_second_class_at_a_flaw_is_not_stray() -> None:
    assert compare([flaw("patches", 1000)], [defect("patches", 1000), defect("anomaly", 1000)], TILE_MM).holds


def test_a_clean_strip_without_defects_agrees() -> None:
    assert compare([], [], TILE_MM).holds
    assert not compare([], [defect("patches", 0)], TILE_MM).holds
