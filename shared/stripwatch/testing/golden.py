"""The golden gate: verdicts against stored ones, and the first field that differs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stripwatch.errors import BadInput

IGNORED = frozenset(
    {
        *("$.id", "$.data.resultId", "$.data.jobId"),  # the run
        *("$.time", "$.data.creationTime", "$.data.processingTimes"),
        *("$.source", "$.data.line"),  # a recording may be replayed into any line
    }
)
"""Of two verdicts (CloudEvents) on the same frames only these may differ: ids, the run, times, the line."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first field that differs: its JSON path, what was expected there, and what came."""

    path: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        return f"{self.path}: expected {_short(self.expected)}, got {_short(self.got)}"


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING: Any = _Missing()


def compare(expected: Any, got: Any, ignored: Iterable[str] = IGNORED) -> Difference | None:
    """The first difference between two JSON values, fields in the order of their names; None where they agree."""
    return _compare("$", expected, got, frozenset(ignored))


def compare_all(
    expected: Sequence[Mapping[str, Any]], got: Sequence[Mapping[str, Any]], ignored: Iterable[str] = IGNORED
) -> Difference | None:
    """The same for lists of verdicts, each list in the order its strips came."""
    if len(expected) != len(got):
        return Difference("$.length", len(expected), len(got))
    for number, pair in enumerate(zip(expected, got, strict=True)):
        found = compare(*pair, ignored)
        if found:
            return Difference(f"$[{number}]{found.path[1:]}", found.expected, found.got)
    return None


def load(path: Path) -> list[dict[str, Any]]:
    """Stored verdicts; BadInput names the file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"{path}: no stored verdicts there ({error.strerror}); `pytest --stripwatch-golden-update` stores them"
        ) from error
    except ValueError as error:
        raise BadInput(f"{path}: expected stored verdicts (JSON), got {error}") from error
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise BadInput(f"{path}: expected a list of verdicts")
    return found


def store(path: Path, verdicts: Sequence[Mapping[str, Any]]) -> None:
    """Writes them as they came; what is ignored is left in, for a reader to see when they were made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(verdicts), indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _compare(path: str, expected: Any, got: Any, ignored: frozenset[str]) -> Difference | None:
    if path in ignored:
        return None
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in sorted({*expected, *got}):
            here = f"{path}.{key}"
            if here in ignored:
                continue
            found = _compare(here, expected.get(key, MISSING), got.get(key, MISSING), ignored)
            if found:
                return found
        return None
    if isinstance(expected, list) and isinstance(got, list):
        for number in range(max(len(expected), len(got))):
            one = expected[number] if number < len(expected) else MISSING
            other = got[number] if number < len(got) else MISSING
            found = _compare(f"{path}[{number}]", one, other, ignored)
            if found:
                return found
        return None
    same = expected == got and isinstance(expected, bool) == isinstance(got, bool)
    return None if same else Difference(path, expected, got)


def _short(value: Any) -> str:
    text = repr(value) if value is MISSING else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."
