"""What `stripwatch calibrate` found, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from rich.text import Text

from stripwatch.cli.show import console, table
from stripwatch.domain.names import printable
from stripwatch.domain.recipe import Cutting, Recipe
from stripwatch.domain.result import QUANTUM

MOST_ROWS = 10
LENGTH_M, WIDTH_M = 1000, 1.5
"""The strip that the rate is told for."""


def show(facts: Mapping[str, Any], recipe: Recipe, mm_per_px: float | None) -> None:
    out = console()
    low, high = facts["interval"]
    now = recipe.anomaly.threshold * QUANTUM
    rows: list[tuple[str, str | Text]] = [
        ("healthy steel", f"{facts['tiles']:,} tiles of {facts['frames']:,} frames"),
        ("worth", f"{facts['effective_tiles']:,} unrelated tiles: those of one frame are alike"),
        ("wanted rate", f"1 healthy tile in {1 / facts['rate']:,.0f} flagged"),
        ("threshold", Text(f"{facts['threshold']:.4f} times the model's own; the recipe has {now:g}", "bold")),
        ("95 % interval", f"{low:.4f} to {high:.4f}" if high else f"from {low:.4f}; too few tiles for an upper end"),
        ("false alarms", false_alarms(facts["rate"], recipe, mm_per_px)),
    ]
    out.print(table((str(facts["model"]), ""), rows))
    if facts["set_aside"]:
        out.print()
        out.print(
            table(
                ("set aside", "highest score"), _aside(facts["set_aside"]), right=("highest score",), fold="set aside"
            )
        )
        out.print(
            f"\nLook at them. If they are healthy, --bad-share 0 keeps them in: {facts['threshold_with_all']:.4f}.",
            markup=False,
        )
    if facts["without_tiles"]:
        number = len(facts["without_tiles"])
        frames = "1 frame" if number == 1 else f"{number:,} frames, the first"
        out.print()
        out.print(printable(f"without tiles: {frames}: {facts['without_tiles'][0]}"))
    out.print()
    if not facts["measured"]:
        out.print(
            f"Too few healthy tiles for this rate: it takes {facts['tiles_needed']:,} like these, there are "
            f"{facts['tiles']:,}.\nThe threshold continues the tail of what was seen; nothing vouches for it.\n",
            style="yellow",
        )
    out.print(
        f"For the recipe, with a new version:\n\n{line(recipe, facts['threshold'])}", markup=False, soft_wrap=True
    )


def false_alarms(rate: float, recipe: Recipe, mm_per_px: float | None) -> str:
    """How many tiles that is on a strip, where it is known how large a tile is."""
    near = f"; {recipe.anomaly.min_tiles} neighbours make a defect" if recipe.anomaly.min_tiles > 1 else ""
    if mm_per_px is None:
        return f"--mm-per-px tells them for a strip{near}"
    tiles = rate * tiles_per_m2(recipe.cutting, mm_per_px) * LENGTH_M * WIDTH_M
    if tiles < 1:
        return f"one tile in about {1 / tiles:,.0f} strips of {LENGTH_M:,} m x {WIDTH_M} m, one side{near}"
    return f"about {float(f'{tiles:.2g}'):,.0f} tiles on one side of {LENGTH_M:,} m x {WIDTH_M} m{near}"


def tiles_per_m2(cutting: Cutting, mm_per_px: float) -> float:
    return 1e6 / (cutting.stride_px * mm_per_px) ** 2


def line(recipe: Recipe, threshold: float) -> str:
    """The recipe's own line on anomalies, with this threshold."""
    rules = {**(yaml.safe_load(recipe.text).get("anomaly") or {}), "threshold": threshold}
    return str(yaml.safe_dump({"anomaly": rules}, sort_keys=False, default_flow_style=None, width=200)).strip()


def _aside(frames: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    rows = [(str(one["frame"]), f"{one['top']:.4f}") for one in frames[:MOST_ROWS]]
    more = len(frames) - MOST_ROWS
    return [*rows, (f"... and {more:,} more (--json lists all)", "")] if more > 0 else rows
