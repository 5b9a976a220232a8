"""Models are found by name and version; versions sort as people read them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripwatch.errors import NotFound
from stripwatch.models.store import ModelStore, version_key


def _folder(root: Path, *refs: str) -> Path:
    for ref in refs:
        (root / ref).mkdir(parents=True)
        (root / ref / "manifest.json").touch()
    return root


def test_the_newest_version_is_the_largest_number_not_the_last_word(tmp_path: Path) -> None:
    store = ModelStore([_folder(tmp_path, "steel/2", "steel/10", "steel/9")])
    assert [str(ref) for ref in store.list()] == ["steel/2", "steel/9", "steel/10"]
    assert store.find("steel").ref.version == "10"
    assert store.find("steel/9").path == tmp_path / "steel/9"


@pytest.mark.parametrize(("older", "newer"), [("1", "1.1"), ("1.9", "1.10"), ("1.0-rc1", "1.0.1"), ("v2", "v10")])
def test_versions_sort_as_people_read_them(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)


@given(st.lists(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,8}", fullmatch=True)))
def test_any_versions_can_be_sorted(versions: list[str]) -> None:
    sorted(versions, key=version_key)


def test_an_earlier_folder_hides_the_same_version_in_a_later_one(tmp_path: Path) -> None:
    first, second = _folder(tmp_path / "a", "steel/1"), _folder(tmp_path / "b", "steel/1", "steel/2")
    store = ModelStore([first, second])
    assert store.find("steel/1").path == first / "steel/1"
    assert store.find("steel").path == second / "steel/2"


def test_what_is_no_model_folder_is_passed_by(tmp_path: Path) -> None:
    _folder(tmp_path, "steel/1", "steel/.tmp", "local/steel/3")
    (tmp_path / "steel/2").mkdir()
    (tmp_path / "heldout.txt").touch()
    assert [str(ref) for ref in ModelStore([tmp_path, tmp_path / "none"]).list()] == ["steel/1"]


def test_a_missing_model_is_refused_with_what_there_is(tmp_path: Path) -> None:
    store = ModelStore([_folder(tmp_path, "steel/1", "texture/1")])
    with pytest.raises(NotFound, match=r"'brass'.*steel/1, texture/1"):
        store.find("brass")
    with pytest.raises(NotFound, match="'steel/7'"):
        store.find("steel/7")
