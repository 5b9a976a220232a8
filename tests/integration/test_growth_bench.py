"""The short form of `make bench-growth`: its books, none of its times."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from growth import QUICK, Scope, growth
from strip_series import Series
from trend import against, exponent, parts, word
from verdict_cost import LAYOUTS, SIZES, state
from worker_growth import Point, ceiling

from stripwatch_aggregator.account import account
from stripwatch_aggregator.decide import decide


def test_every_strip_camera_worker_and_defect_of_a_short_growth_run_is_in_its_figures(tmp_path: Path) -> None:
    scope = replace(QUICK, strips=(Series(10, 5), Series(200)), long=400, camera_frames=400, worker_seconds=1.5)
    result = growth(scope, tmp_path)  # fails itself unless each verdict's account is what was sent
    assert result["strips"]["points"].keys() == {"10", "200"}
    assert result["strips"]["against_reference"]["200"]["word"] == "reference"
    assert [part["frames_before"] for part in result["long"]["parts"]] == [0, 200]
    assert result["cameras"]["points"]["100"]["times"] == 2  # more than a run may have
    for point in (*result["strips"]["points"].values(), *result["cameras"]["points"].values()):
        assert len(point["rounds"]) == scope.rounds
        each = sum(point[kind] for kind in ("redis", "preprocess", "aggregator", "classifier", "anomaly", "source"))
        assert each > 0
    assert result["workers"]["points"].keys() == {"1", "2"}
    assert result["workers"]["ceiling"]["cores"] == os.cpu_count()
    assert {when: of["preprocess"]["processes"] for when, of in result["memory"].items()} == {
        "at rest": 1,
        "after all strips": 1,
        "after 100 cameras": 1,
        "with 2 workers": 2,
    }
    assert result["verdict"]["apart"]["points"]["1000"]["defects"] == 1_000
    assert result["million"]["frames"] == 1_000_000


@pytest.mark.parametrize(("layout", "defects"), [("apart", 400), ("scattered", 400), ("touching", 1), ("fringed", 200)])
def test_a_layout_of_flagged_tiles_makes_the_defects_that_it_says(layout: str, defects: int) -> None:
    made = state(LAYOUTS[layout](400))
    assert decide(made, account(made), 1).found == defects


def test_a_cost_of_a_part_a_frame_and_a_part_a_strip_is_taken_apart_again() -> None:
    frames, strips = [1_000, 10_000, 10_000], [100, 100, 1]
    costs = [400 * one + 9_000 * other for one, other in zip(frames, strips, strict=True)]
    assert parts(frames, strips, costs) == pytest.approx((400, 9_000))


def test_the_exponent_of_a_linear_cost_is_one_and_of_a_squared_one_two() -> None:
    assert exponent([10, 100, 1_000], [3, 30, 300]) == 1
    assert exponent(SIZES, [size**2 for size in SIZES]) == 2


def test_only_what_every_round_shows_is_called_flat_or_growth() -> None:
    rounds = [(1.0, 0.97, 1.04), (1.2, 1.06, 1.3), (0.8, 0.7, 0.9), (1.0, 0.9, 1.04), (1.1, 0.9, 1.2)]
    words = ["flat", "grows", "falls", "flat in the median only", "not flat in the median only"]
    assert [word(*one) for one in rounds] == words


def test_a_point_is_set_against_the_reference_of_its_own_round() -> None:
    found = {"a": [{"all": 100.0}, {"all": 200.0}], "b": [{"all": 110.0}, {"all": 220.0}]}
    assert against(found, "all", "a")["b"] == {"ratio": 1.1, "lowest": 1.1, "highest": 1.1, "word": "grows"}


def test_the_ceiling_is_the_most_that_any_number_of_workers_took_and_names_who_is_full_next() -> None:
    one = {"frames_per_s": 100.0, "cores": 0.1, "redis": 50.0, "aggregator": 80.0, "source": 40.0}
    found = ceiling({"1": one, "64": {**one, "frames_per_s": 900.0, "aggregator": 100.0}})
    assert (found["workers"], found["frames_per_s"]) == (64, 900.0)
    assert (found["full_next"], found["full_next_at_frames_per_s"]) == ("aggregator", 10_000)


def test_a_scaled_run_has_more_strips_of_the_same_length_and_enough_frames_for_every_worker() -> None:
    scaled = Scope().scaled(0.1)
    assert [one.frames for one in scaled.strips] == [10, 100, 1_000, 10_000]
    assert [one.strips for one in scaled.strips] == [50, 10, 1, 1]
    assert Point.of(64, 0.1).frames > 64 * 16
