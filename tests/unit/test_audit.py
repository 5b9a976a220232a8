"""`make audit` tells a known hole, a clean answer and no answer apart."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "audit.py"


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def package(name: str, *holes: str, fixed: tuple[str, ...] = ("2",)) -> dict[str, Any]:
    return {"name": name, "version": "1", "vulns": [{"id": hole, "fix_versions": list(fixed)} for hole in holes]}


UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found on PyPI and could not be audited: ours (1)"}


def test_a_known_hole_fails_and_says_what_mends_it(audit: ModuleType) -> None:
    code, lines = audit.judge({"dependencies": [package("a"), package("b", "GHSA-1"), package("c", fixed=())]}, "")
    assert code == 1
    assert lines == ["b 1: GHSA-1, mended in 2", "audit: 3 versions asked about, 1 known holes"]
    assert "mended in no version yet" in audit.judge({"dependencies": [package("b", "GHSA-1", fixed=())]}, "")[1][0]


def test_a_clean_answer_passes_and_says_how_many_were_asked_about(audit: ModuleType) -> None:
    found = {"dependencies": [package("a"), package("b")]}
    assert audit.judge(found, "") == (0, ["audit: 2 versions asked about, 0 known holes"])


def test_no_answer_at_all_passes_and_is_said_loudly(audit: ModuleType) -> None:
    """pip-audit exits 0 where it skipped every package: a mirror without advisories would look like a clean audit."""
    for found, why in (
        (None, "no route to host"),
        ({"dependencies": [UNKNOWN, UNKNOWN]}, ""),
        ({"dependencies": []}, ""),
    ):
        code, lines = audit.judge(found, why)
        assert code == 0
        assert lines[0].startswith("AUDIT SKIPPED")
        assert lines[1]


def test_a_package_that_only_the_index_does_not_know_fails(audit: ModuleType) -> None:
    code, lines = audit.judge({"dependencies": [package("a"), UNKNOWN]}, "")
    assert code == 1
    assert lines[0].startswith("ours: not known")


def test_a_program_that_gives_no_report_is_no_answer(audit: ModuleType, tmp_path: Path) -> None:
    assert audit.ask(sys.executable, str(tmp_path))[0] is None
    assert audit.ask(sys.executable, str(tmp_path))[1]
