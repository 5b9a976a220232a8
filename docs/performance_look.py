"""How all plots of docs/performance.md look."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from performance_line import DEGRADING, FAILURE, STABLE

from stripwatch_train.study.plots import ACCENT

WIDTH = 8.4
LEVELS = {STABLE: "#4d7c0f", DEGRADING: "#a16207", FAILURE: ACCENT}
"""Colours of the tiers."""


def panels(figure: Figure, rows: int, columns: int) -> list[Axes]:
    grid = figure.subplots(rows, columns, squeeze=False)
    return list(grid.ravel())


def logarithmic(axes: Axes) -> None:
    """A logarithmic y axis whose ticks are plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _place: f"{value:,g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
