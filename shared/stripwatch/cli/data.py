"""`stripwatch data`: are these images fit to learn from and to measure with?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from stripwatch.cli.bars import bar
from stripwatch.cli.show import console, emit, table
from stripwatch.cli.where import JsonOption
from stripwatch.datasets import ADVICE, Dataset, Fault, Report, open_dataset
from stripwatch.datasets import check as examine

app = typer.Typer(help="Look at labelled images before a model does.", no_args_is_help=True)

MOST_ROWS = 10
"""Findings of one kind that are listed; --json has all."""
MOST_SIZES = 3
SPOILT = (Fault.DAMAGED, Fault.NOT_GREY, Fault.CONFLICT)
"""What a model must not be given."""


@app.callback()
def data() -> None:
    """Look at labelled images before a model does."""


@app.command()
def check(
    source: Annotated[Path, typer.Argument(metavar="FOLDER|ARCHIVE", help="NEU in any spelling, or a folder a class")],
    as_json: JsonOption = False,
) -> None:
    """What is wrong with a data set; exits 1 if something is.

    Finds damaged files, colour and 16-bit images, one picture under two classes or in the set twice, files whose name
    and folder disagree, odd sizes and empty classes. Overlapping crops of one strip are not the same picture: keep
    those of neighbouring numbers on one side of a split.
    """
    dataset = open_dataset(source)
    with bar() as progress:
        task = progress.add_task("images", total=len(dataset))
        report = examine(dataset, lambda: progress.advance(task))
    if as_json:
        emit(plain(dataset, report))
    else:
        show(dataset, report)
    if report.findings:
        raise typer.Exit(1)


def plain(dataset: Dataset, report: Report) -> dict[str, object]:
    """A report as plain values."""
    return {
        "source": str(dataset.source),
        "layout": "neu" if dataset.layout.neu else "folders",
        "images": len(dataset),
        "sha256": dataset.sha256,
        "classes": dict(report.classes),
        "sizes": [{"height": height, "width": width, "images": n} for (height, width), n in report.sizes.items()],
        "findings": [
            {"fault": one.fault.value, "says": one.says, "files": list(one.paths), "advice": ADVICE[one.fault]}
            for one in report.findings
        ],
    }


def show(dataset: Dataset, report: Report) -> None:
    out = console()
    layout = "NEU" if dataset.layout.neu else "a folder a class"
    rows = [(label, f"{count:,}") for label, count in report.classes.items()]
    out.print(table((f"class ({layout})", "images"), rows, right=("images",), fold=""))
    out.print(f"\n{len(dataset):,} images: {_sizes(report)}\n", markup=False)
    if not report.findings:
        out.print("nothing found")
        return
    out.print(table(("found", "what"), [row for fault in Fault for row in _rows(fault, report)]))
    out.print()
    for fault in Fault:
        if any(one.fault is fault for one in report.findings):
            out.print(f"{fault.value}: {ADVICE[fault]}", markup=False)


def _rows(fault: Fault, report: Report) -> list[tuple[Text, str]]:
    """The findings of one kind, the first of them where there are many."""
    found = [one.says for one in report.findings if one.fault is fault]
    more = [f"... and {len(found) - MOST_ROWS:,} more (--json lists all)"] if len(found) > MOST_ROWS else []
    style = "red" if fault in SPOILT else "yellow"
    return [(Text(fault.value, style), says) for says in (*found[:MOST_ROWS], *more)]


def _sizes(report: Report) -> str:
    shown = [f"{count:,} of {height} x {width} px" for (height, width), count in report.sizes.items()]
    more = f", {len(shown) - MOST_SIZES:,} more sizes" if len(shown) > MOST_SIZES else ""
    return (", ".join(shown[:MOST_SIZES]) or "none can be decoded") + more
