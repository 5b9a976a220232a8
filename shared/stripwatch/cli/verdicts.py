"""`stripwatch verdicts`: what became of the strips."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from stripwatch.cli.show import console, emit, metres, percent, table, word
from stripwatch.cli.where import JsonOption, LineOption, RedisOption, open_line
from stripwatch.domain.verdict import StripVerdict
from stripwatch.ports import Published
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.runtime.lifecycle import Lifecycle

COLUMNS = ("strip", "run", "verdict", "defects", "coverage", "frames", "decided")
_WIDTHS = (18, 24, 8, 32, 9, 11, 19)
_BATCH = 100


def verdicts(
    redis: RedisOption = None,
    line: LineOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay, and show each verdict as it comes")] = False,
    cursor: Annotated[
        str | None, typer.Option(help="Those after this place (as --json gives it); 0: from the oldest kept")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many of the newest, where no cursor is given")] = 20,
    as_json: JsonOption = False,
) -> None:
    """The newest verdicts, or all as they come.

    With a cursor those after it; --follow stays for those to come (--json: one a line).
    """
    with open_line(redis, line) as streams:
        if cursor is None:
            found = list(reversed(streams.verdicts.page("", count)))
            place = found[-1].cursor if found else streams.verdicts.latest()
        else:
            found = streams.verdicts.since(cursor, _BATCH, 0)
            while more := streams.verdicts.since(found[-1].cursor, _BATCH, 0) if found else []:
                found += more
            place = found[-1].cursor if found else cursor
        if not follow:
            show(found, as_json=as_json)
            return
        out = console()
        if not as_json:
            out.print(Text(row_line(COLUMNS), style="bold"))
        lifecycle = Lifecycle()
        lifecycle.listen()
        while True:
            for one in found:
                if as_json:
                    emit(document(one))
                else:
                    out.print(live_line(one), soft_wrap=True)
            if not lifecycle.running:
                return
            found = streams.verdicts.since(place, _BATCH, 500)
            place = found[-1].cursor if found else place


def document(one: Published) -> dict[str, Any]:
    """A verdict for machines: its CloudEvent, and the cursor to resume after it."""
    return {"cursor": one.cursor, "event": json.loads(one.event.json)}


def show(found: Sequence[Published], *, as_json: bool) -> None:
    if as_json:
        emit([document(one) for one in found])
    elif found:
        console().print(summary_table(found))
    else:
        console().print("no verdicts yet")


def cells(verdict: StripVerdict) -> tuple[str, str, str, str, str, str, str]:
    """One verdict as a row of COLUMNS."""
    expected = sum(camera.expected for camera in verdict.cameras)
    judged = sum(camera.judged for camera in verdict.cameras)
    decided = datetime.fromtimestamp(verdict.decided_at_ns / 1e9, UTC)
    return (
        verdict.run.strip,
        verdict.run.run,
        verdict.disposition.value,
        defect_words(verdict),
        percent(verdict.coverage),
        f"{judged}/{expected}",
        f"{decided:%Y-%m-%d %H:%M:%S}",
    )


def defect_words(verdict: StripVerdict) -> str:
    """How many of each class: `2 scratches, 1 patches`."""
    labels = [defect.label for defect in verdict.defects]
    return ", ".join(f"{labels.count(label)} {label}" for label in sorted(set(labels))) or "none"


def summary_table(found: Sequence[Published]) -> Table:
    rows: list[list[str | Text]] = []
    for one in found:
        row: list[str | Text] = list(cells(decode_verdict(one.event.body)))
        row[2] = word(str(row[2]))
        rows.append(row)
    return table(COLUMNS, rows, right=("coverage", "frames"), fold="defects")


def defect_table(verdict: StripVerdict) -> Table:
    """Every defect with its place and size."""
    rows = [
        (
            defect.label,
            defect.side.value,
            metres(defect.box.x_mm),
            f"{defect.box.y_mm:.0f} mm",
            f"{defect.box.length_mm:.0f} x {defect.box.width_mm:.0f} mm",
            percent(defect.confidence),
        )
        for defect in verdict.defects
    ]
    columns = ("defect", "side", "from head", "from edge", "size", "confidence")
    return table(columns, rows, right=("from head", "from edge", "size", "confidence"))


def row_line(parts: Sequence[str]) -> str:
    return "  ".join(part.ljust(width) for part, width in zip(parts, _WIDTHS, strict=True)).rstrip()


def live_line(one: Published) -> Text:
    """A row that stands alone: nothing is known yet of the rows to come."""
    parts = cells(decode_verdict(one.event.body))
    line = Text(row_line(parts))
    line.highlight_regex(rf"\b{parts[2]}\b", word(parts[2]).style)
    return line
