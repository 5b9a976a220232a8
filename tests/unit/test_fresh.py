"""Files that are replaced while a process runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from stripwatch.errors import SettingsInvalid
from stripwatch.runtime import fresh
from stripwatch.runtime.fresh import Fresh


def reader(path: Path) -> Callable[[], str]:
    def read() -> str:
        text = path.read_text()
        if text.startswith("bad"):
            raise SettingsInvalid(f"expected good text, got {text}")
        return text

    return read


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(fresh, "CHECK_EVERY_S", 0.0)
    return tmp_path / "file"


def test_what_a_file_holds_now_is_what_counts(path: Path) -> None:
    path.write_text("one")
    text = Fresh("text", reader(path))
    assert text.now() == "one"
    path.write_text("two")
    assert text.now() == "two"


def test_what_cannot_be_used_is_told_once_and_again_when_it_is_something_else(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("one")
    text = Fresh("text", reader(path))
    steps = [("bad", "one"), ("bad", "one"), ("bad two", "one"), ("bad two", "one"), ("two", "two"), ("bad", "two")]
    with caplog.at_level(logging.INFO):
        for content, expected in steps:
            path.write_text(content)
            assert text.now() == expected
    refusals = [message.rpartition(" got ")[2] for message in caplog.messages if "not taken" in message]
    assert refusals == ["bad", "bad two", "bad"]


def test_a_first_reading_that_cannot_be_used_is_refused(path: Path) -> None:
    path.write_text("bad")
    with pytest.raises(SettingsInvalid):
        Fresh("text", reader(path))


def test_a_file_is_read_again_only_after_a_while(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh, "CHECK_EVERY_S", 3600.0)
    path.write_text("one")
    text = Fresh("text", reader(path))
    path.write_text("two")
    assert text.now() == "one"
