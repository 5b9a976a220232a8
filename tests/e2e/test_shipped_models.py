"""The shipped models on a sample of the acceptance strips, through the running pipeline (`make bench` runs all)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance import judge_composed, judge_simulated
from composed import compose

from stripwatch.local.pipeline import Pipeline
from stripwatch_train.neu import Neu
from stripwatch_train.places import Places
from stripwatch_train.split import read_heldout

ROOT = Path(__file__).parent.parent.parent
IMAGES = 60


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with Pipeline(tmp_path_factory.mktemp("up")) as running:
        yield running


@pytest.mark.parametrize(("on_grid", "right", "found"), [(True, 0.95, 0.95), (False, 0.85, 0.9)])
def test_held_out_images_on_a_strip_are_found_where_they_lie(
    neu: Path, pipeline: Pipeline, tmp_path: Path, *, on_grid: bool, right: float, found: float
) -> None:
    """A sample of 60: the bounds leave room for its chance; the acceptance figures are those of all images."""
    data = Neu.load(Places(neu.parent))
    rows = data.rows(read_heldout(ROOT / "models" / "heldout.txt")).tolist()
    tally = judge_composed(pipeline, list(compose(data, rows[:: len(rows) // IMAGES], on_grid=on_grid)), tmp_path)
    assert tally.lost == 0
    assert tally.right >= right * tally.defects, tally.missed
    assert tally.found >= found * tally.defects, tally.missed


def test_flaws_of_simulated_strips_are_found(pipeline: Pipeline) -> None:
    tally = judge_simulated(pipeline, 3_000_000, 5, "")
    assert (tally.lost, tally.found) == (0, tally.defects), tally.missed


def test_clean_simulated_strips_are_accepted(pipeline: Pipeline) -> None:
    tally = judge_simulated(pipeline, 3_500_000, 5, "0")
    assert (tally.lost, tally.accepted) == (0, 5), tally.missed
