"""The plots of docs/performance.md; each is drawn from one result file and says from which state of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from performance_aims import EFFICIENCY, M_PER_S, P50_TIMES, P99_TIMES, SERVED, profiles
from performance_growth_plot import growth
from performance_line import speeds, tier
from performance_look import LEVELS, WIDTH, logarithmic, panels
from performance_pipeline import PROCESSES
from performance_results import Found, number

from stripwatch_train.study.plots import ACCENT, COLOURS, GRID, INK, SECOND

BARE = "#9aa5b1"
PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}


def pipeline(found: Found) -> Figure:
    """A panel a profile: the bare loop's CPU time of a tile, and the pipeline's by process."""
    kinds = found["profiles"]
    figure = Figure(figsize=(WIDTH, 0.5 + 0.95 * len(kinds)))
    for axes, (name, one) in zip(panels(figure, len(kinds), 1), kinds.items(), strict=True):
        cpu = one["pipeline"]["cpu_us_a_tile"]
        axes.barh(1, one["bare"]["cpu_us_a_tile"], color=BARE, label="bare loop")
        left = 0.0
        for process, colour in zip(PROCESSES, COLOURS, strict=False):
            axes.barh(0, cpu.get(process, 0.0), left=left, color=colour, label=process.removesuffix("-1"))
            left += cpu.get(process, 0.0)
        axes.annotate(f" +{number(one['own_cpu_us_a_tile'])} µs", (left, 0), va="center", fontsize=8)
        axes.set_yticks([0, 1], ["pipeline", "bare loop"])
        axes.set_xlim(0, 1.12 * max(left, one["bare"]["cpu_us_a_tile"]))
        axes.set_title(
            f"{name}: efficiency {one['efficiency']:.2f}" + (f" (aim {EFFICIENCY})" if name == "mobilenet" else "")
        )
        axes.grid(visible=False, axis="y")
    figure.axes[-1].set_xlabel("CPU µs a tile")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=7, fontsize=8)
    return figure


def serving(found: Found) -> Figure:
    """Tiles a second over the engine alone, batched and one by one."""
    servers = {"stripwatch": found["service"], **found["peers"]}
    servers = {name: one for name, one in servers.items() if one["rounds"]}
    order = sorted(servers, key=lambda name: servers[name]["over_engine"])
    figure = Figure(figsize=(WIDTH, 0.9 + 0.55 * len(order)))
    axes = figure.subplots()
    for at, name in enumerate(order):
        one = servers[name]
        lead = name == "stripwatch"
        axes.barh(at + 0.2, one["over_engine"], 0.38, color=ACCENT if lead else SECOND)
        axes.barh(at - 0.2, one.get("one_tile_over_engine", 0.0), 0.38, color=ACCENT if lead else SECOND, alpha=0.4)
        text = f"{one['over_engine']:.2f}   p99 {number(one['p99_ms'])} ms, {number(one['load_mib'])} MiB"
        axes.annotate(text, (one["over_engine"] + 0.008, at + 0.2), va="center", fontsize=8, bbox=PAPER)
    axes.axvline(SERVED, color=INK, linewidth=0.8, linestyle=":", zorder=0)
    axes.set_yticks(range(len(order)), order)
    axes.set_xlim(0, 1.45)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_xlabel(
        f"tiles/s over the engine alone; dark: {found['tiles_a_request']} tiles a request, light: one; dotted: aim"
    )
    axes.grid(visible=False, axis="y")
    return figure


def latency(found: Found) -> Figure:
    """A panel a profile: p50 and p99 by load, the tiers behind them."""
    kinds = profiles(found)
    figure = Figure(figsize=(WIDTH, 3.2))
    for axes, (name, one) in zip(panels(figure, 1, len(kinds)), kinds.items(), strict=True):
        loads = {float(load): each for load, each in one["loads"].items()}
        _tiers(axes, {load: each["tier"] for load, each in loads.items()})
        for quantile, colour, times in (("p50", SECOND, P50_TIMES), ("p99", ACCENT, P99_TIMES)):
            axes.plot(
                list(loads),
                [each[f"{quantile}_ms"] for each in loads.values()],
                "o-",
                color=colour,
                label=quantile,
                markersize=4,
            )
            axes.plot(
                [0.5], [times * one["bare_ms"]], "_", color=colour, markersize=16, label=f"{quantile}, aim at half load"
            )
        axes.axhline(one["bare_ms"], color=INK, linewidth=0.8, linestyle=":", label="bare time of a frame")
        logarithmic(axes)
        axes.set_title(name)
        axes.set_xlabel("load, of saturation")
    figure.axes[0].set_ylabel("capture to result, ms")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8)
    return figure


def line_speed(found: Found) -> Figure:
    """A panel a case: the p99 of every trial over its speed."""
    cases = speeds(found)
    rows = -(-len(cases) // 2)
    figure = Figure(figsize=(WIDTH, 0.6 + 2.3 * rows))
    cells = panels(figure, rows, 2)
    for axes, (name, one) in zip(cells, cases.items(), strict=False):
        trials = [each for one_round in one["rounds"] for each in one_round["trials"]] + list(one["breaks"].values())
        for level, colour in LEVELS.items():
            some = [each for each in trials if tier(each) == level]
            axes.plot(
                [each["m_per_s"] for each in some],
                [each["p99_ms"] for each in some],
                "o",
                color=colour,
                label=level,
                markersize=4,
            )
        axes.axvline(one["holds_m_per_s"], color=INK, linewidth=1.0, label="holds (median of rounds)")
        axes.axvline(M_PER_S.get(name, float("nan")), color=INK, linewidth=1.0, linestyle=":", label="aim")
        axes.axhline(found["p99_bound_ms"], color=GRID, linewidth=1.0)
        logarithmic(axes)
        axes.set_xlim(left=0)
        profile, _, sides = name.partition(".")
        axes.set_title(f"{profile}, {'one side' if sides == '1' else 'both sides'}: {number(one['holds_m_per_s'])} m/s")
    for axes in cells[max(0, len(cases) - 2) : len(cases)]:
        axes.set_xlabel("m/s")
    for axes in cells[len(cases) :]:
        axes.remove()
    figure.supylabel("p99, capture to result, ms", fontsize=9)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8)
    return figure


def _tiers(axes: Axes, levels: Mapping[float, str]) -> None:
    """Shades the loads of a tier, half-way to the next one's."""
    loads = sorted(levels)
    bounds = [
        loads[0] - 0.08,
        *((one + other) / 2 for one, other in pairwise(loads)),
        loads[-1] + 0.08,
    ]
    for load, (left, right) in zip(loads, pairwise(bounds), strict=True):
        axes.axvspan(left, right, color=LEVELS[levels[load]], alpha=0.1, linewidth=0)
    axes.set_xlim(bounds[0], bounds[-1])
    axes.set_xticks(loads, [f"{load:.0%}" for load in loads])


FIGURES: dict[str, Callable[[Found], Figure]] = {
    "pipeline": pipeline,
    "serving": serving,
    "latency": latency,
    "line_speed": line_speed,
    "growth": growth,
}
"""How each file is drawn."""
