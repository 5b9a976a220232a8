"""What commands print: tables for people, JSON for machines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

COLOURS = {"accept": "green", "review": "yellow", "reject": "red", "ok": "green", "warn": "yellow", "fail": "red"}

PIPED = 200
"""Columns of a table that goes to a file or a pipe."""
_LEAST = 12


def console() -> Console:
    """Standard output; lines are not folded where nobody looks."""
    out = Console(highlight=False)
    return out if out.is_terminal or "COLUMNS" in os.environ else Console(highlight=False, width=PIPED)


def emit(document: Any) -> None:
    """One JSON document on one line."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def word(text: str) -> Text:
    """A disposition or a level in its colour."""
    return Text(text, style=COLOURS.get(text, ""))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, right: Sequence[str] = (), fold: str | None = None
) -> Table:
    """A plain table: a header (unless all is empty), a line, the rows.

    `right` names the columns of numbers, `fold` the one that gives way on a narrow terminal: the last by default.
    """
    fold = columns[-1] if fold is None else fold
    plain = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        side: JustifyMethod = "right" if column in right else "left"
        least = _LEAST if column == fold else None
        plain.add_column(column, justify=side, overflow="fold", no_wrap=column != fold, min_width=least)
    for row in rows:
        plain.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return plain


def metres(mm: float) -> str:
    return f"{mm / 1000:.2f} m"


def percent(units: int | None) -> str:
    """Units of 1e-4 as per cent; a dash where there is none."""
    return "-" if units is None else f"{units / 100:.1f} %"
