"""The plot of what grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from performance_aims import FLAT
from performance_line import STABLE
from performance_look import LEVELS, WIDTH, logarithmic, panels
from performance_results import Found

from stripwatch_train.study.plots import ACCENT, INK, SECOND


def growth(found: Found) -> Figure:
    """Four panels: by length of strip, by cameras, by workers, and a verdict by its tiles."""
    figure = Figure(figsize=(WIDTH, 5.4))
    strips, cameras, workers, verdict = panels(figure, 2, 2)
    _strips(strips, found["strips"]["against_reference"], found["long"])
    against = found["cameras"]["against_one_camera"]
    _ratios(cameras, against["all"], SECOND, "whole strips")
    _ratios(cameras, against["further frame"], ACCENT, "a further frame")
    _flat(cameras, [int(count) for count in against["all"]], "a frame's CPU time by cameras", "cameras")
    points = {int(name): one["frames_per_s"] for name, one in found["workers"]["points"].items()}
    first = min(points)
    workers.plot(list(points), list(points.values()), "o-", color=SECOND, markersize=4, label="measured")
    workers.plot(
        list(points),
        [points[first] * count / first for count in points],
        ":",
        color=INK,
        linewidth=0.8,
        label="in proportion",
    )
    _logarithmic(workers, list(points), "throughput by workers", "workers that wait for a service")
    logarithmic(workers)
    workers.set_ylim(top=2.5 * max(points.values()))
    workers.set_ylabel("frames/s")
    workers.legend(fontsize=8)
    for name, one in found["verdict"].items():
        sizes = [int(size) for size in one["points"]]
        costs = [point["us_a_tile"] for point in one["points"].values()]
        verdict.plot(sizes, costs, "o-", label=f"{name} ({one['exponent']:.2f})", markersize=3)
    _logarithmic(verdict, sizes, "a flagged tile's share of its verdict", "flagged tiles (in brackets: the exponent)")
    verdict.set_ylim(bottom=0)
    verdict.set_ylabel("CPU µs a tile")
    verdict.legend(fontsize=8)
    return figure


def _strips(axes: Axes, ratios: Mapping[str, Any], long: Mapping[str, Any]) -> None:
    """Strips of each length, and the parts of one very long strip, each at the frames that it had by its end."""
    _ratios(axes, ratios, SECOND, "whole strips")
    part = long["frames"] // len(long["parts"])
    ends = [one["frames_before"] + part for one in long["parts"]]
    axes.plot(
        ends, [one["ratio"] for one in long["parts"]], "o-", color=ACCENT, markersize=3, label="parts of one strip"
    )
    ticks = [int(frames) for frames in ratios] + [long["frames"]]
    _flat(axes, ticks, "a frame's CPU time by length of strip", "frames")


def _ratios(axes: Axes, ratios: Mapping[str, Any], colour: str, label: str) -> None:
    """Medians, with the lowest and the highest round."""
    sizes = [int(size) for size in ratios]
    middle = [one["ratio"] for one in ratios.values()]
    below = [one["ratio"] - one["lowest"] for one in ratios.values()]
    above = [one["highest"] - one["ratio"] for one in ratios.values()]
    axes.errorbar(sizes, middle, [below, above], fmt="o-", color=colour, markersize=4, capsize=2, lw=1.0, label=label)


def _flat(axes: Axes, ticks: Sequence[int], title: str, what: str) -> None:
    """An axis of ratios, with what counts as flat."""
    axes.axhspan(1 - FLAT, 1 + FLAT, color=LEVELS[STABLE], alpha=0.12, linewidth=0)
    _logarithmic(axes, ticks, title, what)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("over the reference")
    axes.legend(fontsize=8)


def _logarithmic(axes: Axes, ticks: Sequence[int], title: str, what: str) -> None:
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_title(title)
    axes.set_xlabel(what)
