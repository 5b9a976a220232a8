"""`stripwatch plan`: what a line needs, by arithmetic from what this machine was measured to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from stripwatch.cli.show import console, emit, table
from stripwatch.cli.where import JsonOption
from stripwatch.domain.names import printable
from stripwatch.domain.recipe import Cutting
from stripwatch.sizing import PLACE, Demand, Figure, Need, Rates, caveats, figures, needs, read_rates
from stripwatch.sizing.profile import Profile

LOAD = 0.7
"""Share of what was measured that is planned for: the rest catches up after an outage, and takes what varies."""


def plan(
    speed: Annotated[float, typer.Option(metavar="M/S", min=0.01, max=100, help="Line speed")],
    width: Annotated[float, typer.Option(metavar="MM", min=1, max=10_000, help="Width of the strip")],
    mm_per_px: Annotated[float, typer.Option(min=0.001, max=100, help="Size of a pixel on the strip")] = 0.5,
    sides: Annotated[int, typer.Option(min=1, max=2, help="Sides that are inspected")] = 1,
    cameras: Annotated[int, typer.Option(min=1, max=64, help="Cameras a side, side by side")] = 1,
    frame_px: Annotated[int | None, typer.Option(min=16, help="Rows of a frame [default: a tile's]")] = None,
    tile_px: Annotated[int, typer.Option(min=16, max=1024, help="Side of a tile")] = 200,
    stride_px: Annotated[int | None, typer.Option(min=8, help="From tile to tile [default: a tile's side]")] = None,
    profile: Annotated[Profile, typer.Option(help="Whose rates")] = Profile.ACCURATE,
    load: Annotated[float, typer.Option(min=0.05, max=0.95, help="Share of the measured rates to plan for")] = LOAD,
    outage_s: Annotated[float, typer.Option(min=0, max=86_400, help="Seconds without workers to live through")] = 10.0,
    rates: Annotated[Path, typer.Option(metavar="FILE", help="Rates that `stripwatch density` measured")] = PLACE,
    as_json: JsonOption = False,
) -> None:
    """What a line needs: tiles, bandwidth, memory, cores and replicas.

    Arithmetic alone, from the rates that `stripwatch density` measured on this machine (or on the one that --rates
    tells of). Each number stands beside what it comes from.
    """
    Cutting(tile_px, stride_px or tile_px)
    demand = Demand(speed, width, mm_per_px, sides, cameras, frame_px or tile_px, tile_px, stride_px or tile_px)
    measured = read_rates(rates, profile)
    found, wanted = figures(demand, measured, load, outage_s), needs(demand, measured, load)
    notes = caveats(demand, measured)
    if as_json:
        emit(plain(demand, measured, load, found, wanted, notes))
    else:
        show(profile, measured, found, wanted, notes)


def plain(
    demand: Demand, rates: Rates, load: float, found: Sequence[Figure], wanted: Sequence[Need], notes: Sequence[str]
) -> dict[str, Any]:
    """The plan as plain values."""
    return {
        "demand": asdict(demand),
        "load": load,
        "figures": [asdict(one) for one in found],
        "services": [asdict(one) for one in wanted],
        "cores": sum(one.cores for one in wanted),
        "caveats": list(notes),
        "rates": asdict(rates),
    }


def show(profile: Profile, rates: Rates, found: Sequence[Figure], wanted: Sequence[Need], notes: Sequence[str]) -> None:
    out = console()
    models, engines = ", ".join(rates.models.values()), ", ".join(dict.fromkeys(rates.engines.values()))
    out.print(
        printable(
            f"by the rates of profile {profile.value} ({models}; {engines}), measured on {rates.machine}, "
            f"{rates.measured_at}: {rates.command}"
        ),
        soft_wrap=True,
    )
    out.print()
    part = ""
    rows = []
    for one in found:
        rows.append(
            (one.part if one.part != part else "", one.name, f"{number(one.value)} {one.unit}".strip(), one.how)
        )
        part = one.part
    out.print(table(("", "what", "value", "from"), rows, right=("value",)))
    out.print()
    services = ("service", "cores busy", "cores to give", "replicas", "from")
    lines = [(one.service, number(one.busy), number(one.cores), f"{one.replicas}", one.how) for one in wanted]
    busy, cores = sum(one.busy for one in wanted), sum(one.cores for one in wanted)
    lines.append(("all", number(busy), number(cores), "", ""))
    out.print(table(services, lines, right=services[1:4]))
    for note in notes:
        out.print(printable(f"\nnote: {note}"), soft_wrap=True)


def number(value: float) -> str:
    """Three digits that matter, and all of those before the point."""
    if value >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
