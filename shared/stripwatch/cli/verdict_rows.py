"""Verdicts as rows, in the columns that the terminal has room for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from stripwatch.cli.show import COLOURS, percent, table, word
from stripwatch.domain.names import printable
from stripwatch.domain.verdict import StripVerdict

Columns = Mapping[str, int]
"""Columns by name, and how wide each is where rows are shown as they come."""

ALL: Columns = {
    "strip": 18, "run": 22, "verdict": 7, "defects": 28, "coverage": 8, "frames": 9, "decided": 19, "why": 25,
}  # fmt: skip
SOME: Columns = {"strip": 18, "verdict": 7, "defects": 28, "coverage": 8, "frames": 9, "why": 28}
FEW: Columns = {"strip": 14, "verdict": 7, "defects": 16, "coverage": 8, "why": 26}

_GAP = 2
_WHY = 90
"""Characters of a reason in a table, where it may take several lines."""


def columns_for(width: int) -> Columns:
    """The columns to show; the last one, the reason, takes what is left."""
    for columns in (ALL, SOME, FEW):
        needed = sum(columns.values()) + _GAP * (len(columns) - 1)
        if needed < width:
            return {**columns, "why": columns["why"] + width - 1 - needed}
    return FEW


def texts(verdict: StripVerdict, defects: int) -> dict[str, str]:
    """All columns of one verdict; `defects` says how many characters theirs may have."""
    expected = sum(camera.expected for camera in verdict.cameras)
    judged = sum(camera.judged for camera in verdict.cameras)
    decided = datetime.fromtimestamp(verdict.decided_at_ns / 1e9, UTC)
    return {
        "strip": verdict.run.strip,
        "run": verdict.run.run,
        "verdict": verdict.disposition.value,
        "defects": defect_words(verdict, defects),
        "coverage": percent(verdict.coverage),
        "frames": f"{judged}/{expected}",
        "decided": f"{decided:%Y-%m-%d %H:%M:%S}",
        "why": verdict.reasons[0] if verdict.reasons else "",
    }


def defect_words(verdict: StripVerdict, width: int) -> str:
    """How many of each class, the most frequent first: `2 scratches, 1 crazing, ...`."""
    labels = [defect.label for defect in verdict.defects]
    if not labels:
        return "none"
    counts = sorted(Counter(labels).items(), key=lambda one: (-one[1], one[0]))
    words = [f"{count} {label}" for label, count in counts]
    for shown in range(len(words), 0, -1):
        text = ", ".join([*words[:shown], *(["..."] if shown < len(words) else [])])
        if len(text) <= width:
            return text
    return shorten(words[0], width)


def summary_table(found: Sequence[StripVerdict], width: int) -> Table:
    columns = columns_for(width)
    rows: list[list[str | Text]] = []
    for verdict in found:
        cells = texts(verdict, columns["defects"])
        cells["why"] = shorten(cells["why"], _WHY)
        rows.append([word(cells[name]) if name == "verdict" else cells[name] for name in columns])
    return table(list(columns), rows, right=("coverage", "frames"))


def head_line(columns: Columns) -> Text:
    return Text(_row({name: name for name in columns}, columns), style="bold")


def live_line(verdict: StripVerdict, columns: Columns) -> Text:
    """A row that stands alone: nothing is known yet of the rows to come, so each cell keeps to its width."""
    cells = texts(verdict, columns["defects"])
    line = Text(_row(cells, columns))
    start = columns["strip"] + _GAP + (columns["run"] + _GAP if "run" in columns else 0)
    line.stylize(COLOURS[cells["verdict"]], start, start + len(cells["verdict"]))
    return line


def shorten(text: str, width: int) -> str:
    text = printable(text)
    return text if len(text) <= width else f"{text[: width - 3].rstrip()}..."


def _row(cells: Mapping[str, str], columns: Columns) -> str:
    return (" " * _GAP).join(shorten(cells[name], width).ljust(width) for name, width in columns.items()).rstrip()
