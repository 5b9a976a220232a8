"""Rules for all tests: what is missing on a machine skips with a reason, and CI takes no skip."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
settings.register_profile("stripwatch", deadline=None)  # no test fails because its machine is busy
settings.load_profile("stripwatch")
DATA = Path(os.environ.get("STRIPWATCH_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def neu() -> Path:
    """The NEU images, which are never part of this repository."""
    folder = DATA / "neu"
    if not folder.is_dir():
        pytest.skip(f"needs the NEU images in {folder} (STRIPWATCH_DATA names the folder that holds neu/)")
    return folder


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """In CI a skipped test is a failed one: the data and servers are there, so something is wrong."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("STRIPWATCH_CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"skipped in CI: {why}"
