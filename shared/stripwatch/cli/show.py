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

from stripwatch.domain.names import printable

COLOURS = {"accept": "green", "review": "yellow", "reject": "red", "ok": "green", "warn": "yellow", "fail": "red"}

PIPED = 200
"""Columns of a table that goes to a file or a pipe."""
_LEAST = 12


def console() -> Console:
    """Standard output; lines are not folded where nobody looks, and nothing in a text is taken for markup."""
    out = Console(highlight=False, markup=False, emoji=False)
    unseen = not out.is_terminal and "COLUMNS" not in os.environ
    return Console(highlight=False, markup=False, emoji=False, width=PIPED) if unseen else out


def emit(document: Any) -> None:
    """One JSON document on one line."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    if not text.isprintable():  # within a string: JSON escapes C0 controls alone, terminals obey others too
        text = "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def word(text: str) -> Text:
    """A disposition or a level in its colour."""
    return Text(printable(text), style=COLOURS.get(text, ""))


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
        plain.add_column(
            Text(printable(column)), justify=side, overflow="fold", no_wrap=column != fold, min_width=least
        )
    for row in rows:
        plain.add_row(*(cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row))
    return plain


def metres(mm: float) -> str:
    return f"{mm / 1000:.2f} m"


def percent(units: int | None) -> str:
    """Units of 1e-4 as per cent; a dash where there is none."""
    return "-" if units is None else f"{units / 100:.1f} %"
