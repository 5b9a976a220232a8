"""The pictures of rows 1 to 4: scores in each class, and the course of the training."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stripwatch_train.study.paper_rows import ROWS
from stripwatch_train.study.plots import ACCENT, INK, SECOND
from stripwatch_train.study.row_figures import DEFECTS, HEALTHY

_STEP = 0.14
"""Between the bars of two seeds; classes stand 1 apart."""


def spread_plot(rows: dict[str, Any]) -> Figure:
    """Four panels; a bar for each class and seed: 5 % to 95 %, the quarters thick, the median a dot."""
    figure = Figure(figsize=(9.5, 6.2))
    for at, row in enumerate(ROWS):
        axes = figure.add_subplot(2, 2, at + 1)
        _spread(axes, rows[row.name]["seeds"])
        axes.set_title(row.name)
        axes.set_xlabel(row.means)
    return figure


def _spread(axes: Axes, seeds: list[dict[str, Any]]) -> None:
    names = (HEALTHY, *DEFECTS)
    for place, name in enumerate(names):
        colour = SECOND if name == HEALTHY else ACCENT
        for at, seed in enumerate(seeds):
            _, low, lower, median, upper, high, _ = seed["classes"][name]["quantiles"]
            y = place + (at - (len(seeds) - 1) / 2) * _STEP
            axes.plot([low, high], [y, y], color=colour, linewidth=1, alpha=0.7)
            axes.plot([lower, upper], [y, y], color=colour, linewidth=3.5, alpha=0.7, solid_capstyle="butt")
            axes.plot(median, y, "o", color=INK, markersize=2.6)
    axes.set_yticks(range(len(names)), [f"{HEALTHY} (healthy)", *DEFECTS])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


def course_plot(rows: dict[str, Any]) -> Figure:
    """The mean loss of each epoch, every seed; row 3 shares row 1's training."""
    figure = Figure(figsize=(9.5, 2.6))
    trained = [row for row in ROWS if row.distance is not None]
    for at, row in enumerate(trained):
        axes = figure.add_subplot(1, len(trained), at + 1)
        for seed in rows[row.name]["seeds"]:
            axes.plot(range(1, len(seed["course"]) + 1), seed["course"], color=SECOND, linewidth=0.8, alpha=0.7)
        first, last = (max(seed["course"][at] for seed in rows[row.name]["seeds"]) for at in (0, -1))
        axes.set_ylim(0, min(first, 4 * last))
        axes.set_title(row.name)
        axes.set_xlabel("epoch")
    return figure
