"""Few labels: a new class from 1 to 20 crops, told with the curve over their number."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stripwatch_train.study.plots import COLOURS, INK, Plots
from stripwatch_train.study.shots import measure
from stripwatch_train.study.stage import Stage

ALL_WAY = {"prototypes": "prototypes, cosine", "spread": "label spreading", "head": "linear head on spread labels"}
JOINS = {"cosine": "prototypes, cosine", "mahalanobis": "prototypes, shrunk Mahalanobis"}


def tell(figures: dict[str, Any], plots: Plots) -> str:
    """The section on few labels."""
    f = figures["fewshot"]
    shots = list(f["all_way"]["prototypes"])
    plot = plots.save(_curves(f), "fewshot", "Accuracy over the number of labelled crops, both protocols")
    anchor, one = f["published_one_shot"], {name: f["all_way"][name]["1"]["mean"] for name in ALL_WAY}
    reached = [k for k in shots if f["all_way"]["head"][k]["mean"] >= anchor]
    verdict = f"passes it from {reached[0]} crops a class on" if reached else "does not reach it"
    if reached and reached[0] == "1":
        verdict = "passes it"
    cosine = f["joins"]["cosine"]
    return f"""## A new class from a few crops

Descriptors of the untouched backbone, five grouped splits. Crops come from the training part, the {f["judged"]}
validation images are judged, and no overlap group is on both sides. Mean over all draws, in brackets the 5th and 95th
percentile: from one crop much hangs on which crop it is.

**All classes from k crops each** ({f["draws_all_way"]} draws of each k). *Prototypes* take the mean of a class's crops
and the greatest cosine. *Label spreading* (Zhou et al. 2004) also uses the {f["unlabelled"]} training images without
their labels: a crop's label walks along a graph of nearest neighbours. The *linear head* is a linear discriminant that
learns what the spreading made of those images; it is what a line would run. Unlabelled tiles are what a line has in
plenty, but it is another condition than crops alone. The judged images are no part of the graph.

| crops a class | {" | ".join(ALL_WAY.values())} |
|---|{"---|" * len(ALL_WAY)}
{_rows(shots, [f["all_way"][name] for name in ALL_WAY])}

{plot}
The published one-shot figure is {_percent(anchor)}. Crops alone reach {_percent(one["prototypes"])} with one crop a
class, far below it; with unlabelled images the head reaches {_percent(one["head"])}, and {verdict}. A single crop says
little of where the middle of its class is, and the middle is what a prototype needs; which images are alike is a
better guide, and costs no label. Stages, size and whitening were chosen from one crop inside each training part:
{_choices(f["choices"])}. The form of the graph (8 neighbours), and that a head is learned from it, come from trials
inside the training parts of seeds 0 to 2, which hold validation images of the other seeds; the head and the size
of 64 px were added after a first look at validation images.

**A class joins five that are known** with all their training images ({f["draws_joins"]} draws of each k, each class in
turn, {f["size"]} px). The scatter inside the known classes, whose labels are there, now says which directions are
noise.

| crops of the new class | {_joined_head()} |
|---|{"---|---|" * len(JOINS)}
{_joined_rows(f["joins"], shots)}

The mean of k crops is itself off by a kth of a class's scatter. Mahalanobis distance (one Ledoit-Wolf covariance)
with that taken out finds the new class from the first crop on, but calls more of the others by its name; the cosine, in
half-whitened directions, is careful with one crop and the better choice once there are several. Hardest from one crop
by cosine is {_hardest(cosine["1"]["new_by_class"])}; from {shots[-1]} crops
{_hardest(cosine[shots[-1]]["new_by_class"])}. The two ways were chosen on an inner split of
the first seed's training part.
"""


def _joined_head() -> str:
    return " | ".join(f"{name}: new class found | all images right" for name in JOINS.values())


def _rows(shots: list[str], methods: list[dict[str, Any]]) -> str:
    return "\n".join(f"| {k} | {' | '.join(_cell(method[k]) for method in methods)} |" for k in shots)


def _joined_rows(joins: dict[str, Any], shots: list[str]) -> str:
    lines = []
    for k in shots:
        cells = [_cell(joins[name][k][part]) for name in JOINS for part in ("new", "all")]
        lines.append(f"| {k} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(value: dict[str, float]) -> str:
    return f"{100 * value['mean']:.2f} ({100 * value['low']:.1f}-{100 * value['high']:.1f})"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _choices(choices: dict[str, list[str]]) -> str:
    return "; ".join(
        f"{name}: " + ", ".join(f"{text} ({chosen.count(text)} of {len(chosen)})" for text in sorted(set(chosen)))
        for name, chosen in choices.items()
    )


def _hardest(by_class: dict[str, float]) -> str:
    name = min(by_class, key=lambda label: by_class[label])
    return f"`{name}` ({_percent(by_class[name])})"


def _curves(f: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(8.6, 3.6))
    left, right = figure.subplots(1, 2)
    for name, colour in zip(ALL_WAY, COLOURS, strict=False):
        _curve(left, f["all_way"][name], ALL_WAY[name], colour)
    anchor = 100 * f["published_one_shot"]
    left.axhline(anchor, color=INK, linestyle="--", linewidth=1)
    left.annotate(
        f"published, one-shot: {anchor:.2f} %", (20, anchor), (0, -11), textcoords="offset points", ha="right"
    )
    left.set(title="All classes from k crops", ylabel="accuracy, % of validation images")
    for name, colour in zip(JOINS, COLOURS[3:], strict=False):
        _curve(right, {k: value["new"] for k, value in f["joins"][name].items()}, JOINS[name], colour)
    right.set(title="A class joins five known ones", ylabel="share of the new class found, %")
    for axes in (left, right):
        axes.set(xlabel="labelled crops k", xscale="log")
        shots = [int(k) for k in f["all_way"]["prototypes"]]
        axes.set_xticks(shots, [str(k) for k in shots])
        axes.minorticks_off()
        axes.legend(loc="lower right")
    return figure


def _curve(axes: Axes, by_shots: dict[str, Any], name: str, colour: str) -> None:
    shots = [int(k) for k in by_shots]
    mean, low, high = ([100 * value[key] for value in by_shots.values()] for key in ("mean", "low", "high"))
    axes.plot(shots, mean, marker="o", markersize=4, color=colour, label=name)
    axes.fill_between(shots, low, high, color=colour, alpha=0.15, linewidth=0)


STAGE = Stage("fewshot", measure, tell)
