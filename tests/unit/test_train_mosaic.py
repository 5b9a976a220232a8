"""Composed tiles: the image where it should be, and a label only where it is clear."""

from __future__ import annotations

import numpy as np

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch_train.healthy import clear_places, quilt
from stripwatch_train.mosaic import laid, offset, seen, visible_label

CRAZING, INCLUSION = NEU_CLASSES.index("crazing"), NEU_CLASSES.index("inclusion")
BRIGHT = np.full((200, 200), 200, dtype=np.uint8)
DARK = np.full((200, 200), 100, dtype=np.uint8)


def test_an_image_is_laid_with_its_corner_where_it_was_asked_for() -> None:
    tile = laid(BRIGHT, DARK, 50, -30, feather=0, matched=False)
    assert (tile[50:, :170] == 200).all()
    assert (tile[:50] == 100).all()
    assert (tile[:, 170:] == 100).all()


def test_a_feathered_border_rises_without_a_step() -> None:
    edge = laid(BRIGHT, DARK, 50, 0, feather=20, matched=False)[45:75, 100].astype(int)
    assert edge[0] == 100
    assert edge[-1] == 200
    assert np.diff(edge).max() <= 5


def test_an_offset_leaves_enough_of_the_image_in_the_tile() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        row, column = offset(rng, 0.25)
        assert (200 - abs(row)) * (200 - abs(column)) >= 0.25 * 200 * 200


def test_a_tile_that_sees_no_part_of_a_masked_defect_is_healthy() -> None:
    defect = np.zeros((200, 200), dtype=bool)
    defect[150:, 150:] = True
    assert visible_label(INCLUSION, defect, 100, 100) == -1
    assert visible_label(INCLUSION, defect, 0, 0) == INCLUSION


def test_a_tile_that_sees_a_sliver_of_a_defect_gets_no_label() -> None:
    defect = np.zeros((200, 200), dtype=bool)
    defect[100:, 100:] = True
    assert seen(defect, 97, 97).sum() == 9
    assert visible_label(INCLUSION, defect, 97, 97) is None


def test_loose_boxes_never_call_the_rest_of_an_image_healthy() -> None:
    assert visible_label(CRAZING, np.zeros((200, 200), dtype=bool), 190, 190) is None


def test_quilted_steel_holds_nothing_of_the_defect() -> None:
    rng = np.random.default_rng(1)
    image = rng.normal(120, 5, (200, 200)).astype(np.uint8)
    defect = np.zeros((200, 200), dtype=bool)
    image[:60, :60], defect[:60, :60] = 250, True
    places = clear_places(image, defect)
    tile = quilt(image, places, rng)
    assert tile.shape == (200, 200)
    assert tile.max() < 200
    assert 110 < tile.mean() < 130
