"""What the benchmarks' result files hold, and how docs/performance.md writes numbers and tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

Found = dict[str, Any]

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
COMMANDS = {
    "pipeline": "make bench-pipeline",
    "serving": "make bench-serving",
    "latency": "make bench-latency",
    "line_speed": "make bench-speed",
    "growth": "make bench-growth",
    "startup": "make bench-startup",
    "mobilenet": "python benchmarks/mobilenet_figures.py",
}
"""What writes each file."""


@dataclass(frozen=True, slots=True)
class Results:
    """A folder of result files; any of them may be missing."""

    folder: Path = RESULTS

    def find(self, name: str) -> Found | None:
        path = self.folder / f"{name}.json"
        found: Found | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        return found

    def fingerprint(self, name: str) -> str:
        """Says which state of a file something was drawn from."""
        return hashlib.sha256((self.folder / f"{name}.json").read_bytes()).hexdigest()


def unmeasured(name: str) -> str:
    return f"not measured yet: `{COMMANDS[name]}`"


def number(value: float) -> str:
    """Three digits, more only where they stand before the point."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_shown(cell) for cell in row)} |\n" for row in lines)


def _shown(cell: Any) -> str:
    if isinstance(cell, int) and not isinstance(cell, bool):
        return f"{cell:,}"
    return number(cell) if isinstance(cell, float) else str(cell)


def span(values: Sequence[float]) -> str:
    """Lowest to highest."""
    return f"{number(min(values))} to {number(max(values))}"


def spread(values: Sequence[float]) -> str:
    """How far rounds lie apart, as a share of their median."""
    return f"{(max(values) - min(values)) / median(values):.0%}"


def made(found: Found) -> str:
    """The line under what a file gave."""
    return f"`{found['command']}`, at {found['commit'][:10]}, load {found['load_before']} before it began.\n"
