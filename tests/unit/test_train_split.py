"""Splits: overlap groups stay whole, and the held-out list is what it says."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from stripwatch.errors import NotFound
from stripwatch_train.places import REPOSITORY, default_data
from stripwatch_train.split import grouped, read_heldout, stratified, write_heldout

LABELS = np.repeat([0, 1], 100)
GROUPS = [f"{label}-{number // 3}" for label in (0, 1) for number in range(100)]


def test_a_random_split_takes_its_share_of_each_class_and_nothing_twice() -> None:
    train, held = stratified(LABELS, seed=3)
    assert Counter(LABELS[held].tolist()) == {0: 20, 1: 20}
    assert sorted([*train, *held]) == list(range(200))


def test_a_grouped_split_keeps_every_group_on_one_side() -> None:
    train, held = grouped(LABELS, GROUPS, seed=3)
    assert not {GROUPS[row] for row in train} & {GROUPS[row] for row in held}
    assert all(17 < count <= 20 for count in Counter(LABELS[held].tolist()).values())


def test_a_seed_always_gives_the_same_split() -> None:
    assert grouped(LABELS, GROUPS, seed=5)[1].tolist() == grouped(LABELS, GROUPS, seed=5)[1].tolist()
    assert grouped(LABELS, GROUPS, seed=5)[1].tolist() != grouped(LABELS, GROUPS, seed=6)[1].tolist()


def test_the_held_out_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_heldout(tmp_path / "heldout.txt", ["patches_2", "crazing_1"])
    assert read_heldout(tmp_path / "heldout.txt") == ("crazing_1", "patches_2")
    with pytest.raises(NotFound, match=r"nothing\.txt"):
        read_heldout(tmp_path / "nothing.txt")


def test_the_committed_held_out_list_is_a_fifth_of_each_class_in_whole_groups() -> None:
    held = set(read_heldout(REPOSITORY / "models" / "heldout.txt"))
    assert Counter(name.rpartition("_")[0] for name in held) == dict.fromkeys(
        ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches"), 60
    )
    table = default_data() / "neu" / "_overlap_groups.tsv"
    if not table.is_file():
        pytest.skip(f"no {table}")
    with table.open() as lines:
        groups = {Path(row["file"]).stem: row["group"] for row in csv.DictReader(lines, delimiter="\t")}
    torn = {groups[name] for name in held if name in groups} & {groups[name] for name in groups if name not in held}
    assert not torn
