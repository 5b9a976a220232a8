"""The pytest plugin, as a plant uses it: the example of docs/testing.md, as it stands there."""

from __future__ import annotations

import json
import re
import shutil
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

INSTALLED = any(one.name == "stripwatch" for one in entry_points(group="pytest11"))
OPTIONS = ("-p", "no:cacheprovider", *(() if INSTALLED else ("-p", "stripwatch.testing.plugin")))
DOCS = Path(__file__).parents[2] / "docs" / "testing.md"


@pytest.fixture
def plant(
    pytester: pytest.Pytester, recording: Path, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """A plant's folder: its test, its recording, its models."""
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    pytester.makepyfile(test_plant=example)
    shutil.copy(recording, pytester.path / "coil-4711.mcap")
    monkeypatch.setenv("STRIPWATCH_MODELS", str(tiny_models))
    monkeypatch.delenv("STRIPWATCH_TEST_REDIS_URL", raising=False)
    return pytester


def test_the_example_of_the_docs_stores_then_compares_then_fails_on_a_change(plant: pytest.Pytester) -> None:
    golden = plant.path / "coil-4711.json"
    stored = plant.runpytest_subprocess("--stripwatch-golden-update", *OPTIONS)
    stored.assert_outcomes(passed=1)
    verdicts = json.loads(golden.read_text())
    assert len(verdicts) == 3
    verdicts[1]["data"]["coverage"] = 0.5
    golden.write_text(json.dumps(verdicts))
    changed = plant.runpytest_subprocess(*OPTIONS)
    changed.assert_outcomes(failed=1)
    changed.stdout.fnmatch_lines(["*coil-4711.json: $[[]1].data.coverage: expected 0.5, got 1.0*"])


def test_sessions_run_side_by_side(plant: pytest.Pytester) -> None:
    plant.makepyfile(
        test_two="""
        import pytest

        @pytest.mark.parametrize("number", range(2))
        def test_one_verdict_a_run(replay, number):
            assert len(replay("coil-4711.mcap")) == 3
        """
    )
    result = plant.runpytest_subprocess("-n", "2", *OPTIONS, "test_two.py")
    result.assert_outcomes(passed=2)


def test_what_is_missing_is_one_sentence_without_a_traceback(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from stripwatch.stream.memory import MemoryStream

        @pytest.fixture
        def stripwatch_pipeline():
            return MemoryStream()  # has lines, and that is all a replay looks at before its file

        def test_no_stored_verdicts(golden):
            golden([], "none.json")

        def test_no_recording(stripwatch_pipeline, monkeypatch, replay):
            monkeypatch.setattr(stripwatch_pipeline, "line", lambda: MemoryStream().line, raising=False)
            replay("none.mcap")
        """
    )
    result = pytester.runpytest_subprocess(*OPTIONS)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["none.json: no stored verdicts there*--stripwatch-golden-update*", "none.mcap: *"])
    result.stdout.no_fnmatch_line("*Error*")
