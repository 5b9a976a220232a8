"""What a tile's scores say under a recipe."""

from __future__ import annotations

import pytest

from stripwatch.domain.box import Box
from stripwatch.domain.reading import Reading, read_tile
from stripwatch.domain.result import TileScore
from stripwatch.recipes import parse_recipe

CLASSES = ("crazing", "healthy", "scratches")
TEXT = """
name: test
version: "1"
models: {classifier: steel, anomaly: texture}
required: [classifier]
healthy: [healthy]
classes: {scratches: {confidence: 0.8}}
other: {confidence: 0.6}
anomaly: {threshold: 1.5, unknown_below: 0.6}
"""
RECIPE = parse_recipe(TEXT)
USUAL = parse_recipe(TEXT.replace("unknown_below: 0.6", "unknown_below: 0.6, usual_below: 0.85"))


def read(probabilities: tuple[int, ...], anomaly: int | None = None) -> Reading | None:
    return read_tile(TileScore(Box(0, 0, 100, 100), probabilities, anomaly), CLASSES, RECIPE)


@pytest.mark.parametrize(
    ("probabilities", "reading"),
    [
        ((0, 10_000, 0), None),
        ((100, 2_001, 7_899), None),
        ((100, 2_000, 7_900), Reading("scratches", 8_000)),
        ((4_500, 500, 5_000), Reading("scratches", 9_500)),
        ((5_000, 500, 4_500), Reading("crazing", 9_500)),
        ((4_500, 1_000, 4_500), Reading("crazing", 9_000)),
        ((3_100, 4_000, 2_900), Reading("crazing", 6_000)),
        ((), None),
    ],
)
def test_a_tile_counts_as_its_likeliest_class_if_it_is_surely_defective(
    probabilities: tuple[int, ...], reading: Reading | None
) -> None:
    assert read(probabilities) == reading


def test_an_anomaly_counts_only_where_no_class_does() -> None:
    assert read((0, 10_000, 0), 15_000) == Reading("anomaly", 15_000)
    assert read((0, 10_000, 0), 14_999) is None
    assert read((), 15_000) == Reading("anomaly", 15_000)
    assert read((0, 0, 10_000), 90_000) == Reading("scratches", 10_000)


SURE, TORN, HEALTHY = (1_000, 500, 8_500), (4_500, 500, 5_000), (1_000, 8_000, 1_000)


@pytest.mark.parametrize(
    ("probabilities", "anomaly", "label"),
    [
        (SURE, 15_000, "scratches"),
        (SURE, 14_999, "scratches"),
        (TORN, 15_000, "unknown"),
        (TORN, 14_999, "scratches"),
        (TORN, None, "scratches"),
        (HEALTHY, 15_000, "anomaly"),
        (HEALTHY, 14_999, None),
    ],
)
def test_an_anomalous_defect_of_no_sure_class_is_unknown_and_not_the_nearest_class(
    probabilities: tuple[int, ...], anomaly: int | None, label: str | None
) -> None:
    reading = read(probabilities, anomaly)
    assert (reading.label if reading else None) == label


@pytest.mark.parametrize("probabilities", [SURE, TORN, HEALTHY])
def test_steel_as_usual_as_healthy_is_no_defect_however_sure_the_classifier_is(probabilities: tuple[int, ...]) -> None:
    def label(anomaly: int | None) -> str | None:
        reading = read_tile(TileScore(Box(0, 0, 100, 100), probabilities, anomaly), CLASSES, USUAL)
        return reading.label if reading else None

    assert label(8_499) is None
    assert label(8_500) == (None if probabilities == HEALTHY else "scratches")
    assert label(None) == label(8_500)


def test_an_unknown_kind_is_as_sure_as_the_tile_is_defective() -> None:
    assert read(TORN, 15_000) == Reading("unknown", 9_500)


def test_a_class_that_holds_just_the_share_asked_for_is_sure() -> None:
    assert read((3_800, 500, 5_700), 15_000) == Reading("scratches", 9_500)
    assert read((3_801, 500, 5_699), 15_000) == Reading("unknown", 9_500)
