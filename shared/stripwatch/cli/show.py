"""What commands print: tables for people, JSON for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

COLOURS = {"accept": "green", "review": "yellow", "reject": "red", "ok": "green", "warn": "yellow", "fail": "red"}


def console() -> Console:
    return Console(highlight=False)


def emit(document: Any) -> None:
    """One JSON document on one line."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def word(text: str) -> Text:
    """A disposition or a level in its colour."""
    return Text(text, style=COLOURS.get(text, ""))


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, right: Sequence[str] = ()) -> Table:
    """A plain table: a header (unless all is empty), a line, the rows. `right` names the columns of numbers."""
    plain = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        plain.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        plain.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return plain


def metres(mm: float) -> str:
    return f"{mm / 1000:.2f} m"


def percent(units: int | None) -> str:
    """Units of 1e-4 as per cent; a dash where there is none."""
    return "-" if units is None else f"{units / 100:.1f} %"
