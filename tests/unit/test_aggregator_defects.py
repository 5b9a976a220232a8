"""From tiles to defects."""

from __future__ import annotations

import random
from collections.abc import Iterable
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator_cases import RECIPE, TILE_MM, result, rules, scratch, start
from stripwatch.domain.box import Box
from stripwatch.domain.camera import Side
from stripwatch.domain.defect import ANOMALY, UNKNOWN
from stripwatch.domain.result import TileScore
from stripwatch.recipes import parse_recipe
from stripwatch_aggregator.defects import find_defects, fringe, merge
from stripwatch_aggregator.flags import Flag, flags

RULES = parse_recipe(RECIPE)
PLACE = attrgetter("order")


def in_order(groups: Iterable[list[Flag]]) -> list[list[Flag]]:
    return sorted((sorted(group, key=PLACE) for group in groups), key=lambda group: [one.order for one in group])


def flag(
    x0: int, y0: int, x1: int, y1: int, label: str = "scratches", side: Side = Side.TOP, camera: str = "c1"
) -> Flag:
    return Flag(x0, y0, x1, y1, label, side, camera, 9_000, 2_000)


def touch(one: Flag, other: Flag, gap: int) -> bool:
    def box(flag: Flag) -> Box:
        return Box(flag.x0, flag.y0, flag.x1 - flag.x0, flag.y1 - flag.y0)

    return box(one).touches(box(other), gap)


coordinates = st.integers(0, 40)
sizes = st.integers(0, 12)
boxes = st.builds(lambda x, y, length, width: flag(x, y, x + length, y + width), coordinates, coordinates, sizes, sizes)


@given(st.lists(boxes, max_size=25), st.integers(0, 4))
def test_groups_are_those_of_comparing_every_pair(members: list[Flag], gap: int) -> None:
    members = sorted(members, key=PLACE)
    colours = list(range(len(members)))
    for first in range(len(members)):
        for second in range(first):
            if touch(members[first], members[second], gap):
                old, new = colours[first], colours[second]
                colours = [new if colour == old else colour for colour in colours]
    expected: dict[int, list[Flag]] = {}
    for colour, member in zip(colours, members, strict=True):
        expected.setdefault(colour, []).append(member)
    assert in_order(merge(members, gap)) == in_order(expected.values())


@given(st.lists(boxes, max_size=15), st.lists(boxes, max_size=15), st.integers(0, 4))
def test_the_fringe_is_that_of_comparing_every_pair(members: list[Flag], others: list[Flag], gap: int) -> None:
    assert fringe(members, others, gap) == [any(touch(one, other, gap) for other in others) for one in members]


@given(st.randoms(use_true_random=False))
def test_the_order_of_tiles_does_not_matter(chance: random.Random) -> None:
    results = [result(index, scratch(index, index % 2, index % 3)) for index in range(6)]
    tiles = [flag for one in results for flag in flags(one, RULES, start())]
    shuffled = tiles[:]
    chance.shuffle(shuffled)
    assert find_defects(shuffled, RULES) == find_defects(tiles, RULES)


def test_neighbouring_tiles_across_frames_and_cameras_are_one_defect() -> None:
    found = find_defects([flag(0, 0, 500, 500, camera="c2"), flag(505, 0, 1005, 500), flag(2000, 0, 2500, 500)], RULES)
    assert [(one.tiles, one.cameras) for one in found] == [(2, ("c1", "c2")), (1, ("c1",))]
    assert found[0].box == Box(0.0, 0.0, 100.5, 50.0)


def test_two_sides_are_two_defects() -> None:
    assert len(find_defects([flag(0, 0, 5, 5), flag(0, 0, 5, 5, side=Side.BOTTOM)], RULES)) == 2


def test_two_classes_over_one_place_are_two_defects() -> None:
    assert len(find_defects([flag(0, 0, 5, 5), flag(0, 0, 5, 5, label="crazing")], RULES)) == 2


def test_anomalous_tiles_need_neighbours_to_be_a_defect() -> None:
    one, other, far = flag(0, 0, 5, 5, ANOMALY), flag(5, 0, 10, 5, ANOMALY), flag(100, 0, 105, 5, ANOMALY)
    found = find_defects([one, other, far], RULES)
    assert [(defect.label, defect.tiles, defect.confidence) for defect in found] == [(ANOMALY, 2, None)]


def test_the_anomalous_fringe_of_a_classified_defect_is_no_defect_of_its_own() -> None:
    crack = flag(0, 0, 50, 50)
    ring = [flag(50, 0, 100, 50, ANOMALY), flag(0, 50, 50, 100, ANOMALY)]
    assert [defect.label for defect in find_defects([crack, *ring], RULES)] == ["scratches"]
    other_side = [flag(50, 0, 100, 50, ANOMALY, Side.BOTTOM), flag(100, 0, 150, 50, ANOMALY, Side.BOTTOM)]
    assert len(find_defects([crack, *other_side], RULES)) == 2


def test_a_wide_anomaly_is_not_hidden_by_a_small_defect_at_its_rim() -> None:
    wide = [flag(50 * step, 0, 50 * step + 50, 50, ANOMALY) for step in range(1, 20)]
    found = find_defects([flag(0, 0, 50, 50), *wide], RULES)
    assert [(defect.label, defect.tiles) for defect in found] == [("scratches", 1), (ANOMALY, 18)]


def torn(anomaly: int | None) -> TileScore:
    """A tile that is surely defective, half crazing and half a scratch."""
    return TileScore(Box(200.0, 0.0, TILE_MM, TILE_MM), (4_500, 500, 5_000), anomaly)


@pytest.mark.parametrize(("anomaly", "label"), [(15_000, UNKNOWN), (14_999, "scratches"), (None, "scratches")])
def test_one_anomalous_tile_torn_between_classes_is_a_defect_of_unknown_kind(anomaly: int | None, label: str) -> None:
    recipe = parse_recipe(RECIPE.replace("min_tiles: 2", "min_tiles: 2, unknown_below: 0.6"))
    found = find_defects(flags(result(2, {(0, 0): torn(anomaly)}), recipe, start()), recipe)
    assert [(one.label, one.confidence, one.anomaly, one.tiles) for one in found] == [(label, 9_500, anomaly, 1)]


def test_a_recipe_that_does_not_ask_for_it_calls_a_torn_tile_by_its_likeliest_class() -> None:
    found = find_defects(flags(result(2, {(0, 0): torn(90_000)}), RULES, start()), RULES)
    assert [one.label for one in found] == ["scratches"]


def test_a_defect_of_unknown_kind_follows_the_rule_for_other_classes() -> None:
    recipe = parse_recipe(RECIPE.replace("other: {", "other: {min_size_mm: 60, "))
    assert find_defects([flag(0, 0, 500, 500, UNKNOWN)], recipe) == ()
    assert len(find_defects([flag(0, 0, 700, 500, UNKNOWN)], recipe)) == 1


def test_a_defect_shorter_than_the_recipe_asks_does_not_count() -> None:
    recipe = parse_recipe(RECIPE.replace("reject_size_mm: 300", "min_size_mm: 60"))
    assert find_defects([flag(0, 0, 500, 500)], recipe) == ()
    assert len(find_defects([flag(0, 0, 500, 500), flag(500, 0, 1000, 500)], recipe)) == 1


@pytest.mark.parametrize(
    ("zone", "counted"),
    [
        ("edge_mm: 50", False),
        ("edge_mm: 49", True),
        ("head_mm: 250", False),
        ("tail_mm: 800", False),
        ("tail_mm: 700", True),
    ],
)
def test_a_tile_wholly_in_an_excluded_margin_is_not_judged(zone: str, counted: bool) -> None:
    recipe = parse_recipe(RECIPE + f"exclusion: {{{zone}}}")
    edge = result(2, scratch(2, 0, 0))
    assert bool(flags(edge, recipe, start(length_mm=1000))) is counted


def test_the_far_edge_is_excluded_by_the_strips_width() -> None:
    recipe = parse_recipe(RECIPE + "exclusion: {edge_mm: 50}")
    assert not flags(result(2, scratch(2, 0, 3)), recipe, start())
    assert flags(result(2, scratch(2, 0, 2)), recipe, start())


def test_without_a_declared_length_the_tail_is_judged() -> None:
    recipe = parse_recipe(RECIPE + "exclusion: {tail_mm: 100000}")
    assert flags(result(2, scratch(2)), recipe, start())


def test_a_strip_defective_from_head_to_tail_is_merged_without_comparing_every_pair() -> None:
    overlapping = [flag(x * 10, y * 10, x * 10 + 200, y * 10 + 200) for x in range(1_000) for y in range(30)]
    assert [len(group) for group in merge(sorted(overlapping, key=PLACE), 10)] == [30_000]
    assert len(find_defects(overlapping, rules().recipe)) == 1
