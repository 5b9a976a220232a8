"""What the stage `boxes` tells on the page."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from stripwatch_train.study.plots import COLOURS, GRID, Plots

_WAYS = {
    "whole_image": "the whole image",
    "cam": "activation map at 20 %",
    "cam_level": "activation map, level by class",
    "cam_chosen": "activation map, chosen boxes",
    "window": "windows unlike their tile, no labels",
    "cells_level": "cells, level by class",
    "cells": "**cells, chosen boxes**",
}
_CEILINGS = {
    "map_of_true_boxes": "the true boxes as a perfect map",
    "map_of_shrunk_true_boxes": "the true boxes, shrunk, as a perfect map",
}
_DRAWN = ("whole_image", "cam", "cam_level", "window", "cells_level", "cells")
_TONES = (GRID, COLOURS[7], COLOURS[5], COLOURS[4], COLOURS[0], COLOURS[1])


def tell(figures: dict[str, Any], plots: Plots) -> str:
    """The section: what was asked, the table, the plot, what the boxes are worth."""
    boxes, truth, ceiling = figures["boxes"], figures["truth"], figures["ceiling"]
    best, plain, levelled = boxes["cells"], boxes["cam"], boxes["cam_level"]
    parts = [
        "## Where the defect is: boxes",
        f"One pass of the frozen backbone at {figures['input_px']} px, cut off after `features[13]`, gives the "
        f"class and the place. The place is measured against the {truth['boxes']:,} boxes of NEU-DET: "
        f"{len(figures['seeds'])} seeds, {figures['split']}, heads, levels and choosers fitted on the training part. "
        "(The design, that is the shrinking, the windows and the penalties, was settled once with seed 0 in view, its "
        "held-out images too; the lowest figure over the seeds is in the table.) A true box is found at most once "
        "(greedy by IoU), so boxes too many cost precision. Where a way needs the class, it gets the *predicted* one "
        f"({_share(figures['class_accuracy'])} right); a box counts for its place, whatever its name.",
        _table(
            {**{_WAYS[way]: rates for way, rates in boxes.items()}, **{_CEILINGS[w]: r for w, r in ceiling.items()}}
        ),
        f"**Recall at IoU 0.3 goes from {_share(plain['recall_iou30'])} for the plain class-activation map to "
        f"{_share(best['recall_iou30'])}, and precision from {_share(plain['precision_iou30'])} to "
        f"{_share(best['precision_iou30'])}.** A level chosen for each class helps the activation map to "
        f"{_share(levelled['recall_iou30'])} at a precision of {_share(levelled['precision_iou30'])}; no level makes "
        "it a map of the defect, because it marks what tells one class from the others, on a coarse grid.",
        _ways(figures),
        _plot(figures, plots),
        _classes(figures),
        _worth(figures),
    ]
    return "\n\n".join(parts) + "\n"


def _table(rows: dict[str, dict[str, dict[str, float]]]) -> str:
    lines = [
        "| way to boxes | recall, IoU 0.3 | precision, IoU 0.3 | recall, IoU 0.5 | mean best IoU | boxes an image |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {_range(rates['recall_iou30'])} | {_range(rates['precision_iou30'])} | "
        f"{_range(rates['recall_iou50'])} | {rates['mean_best_iou']['mean']:.2f} | "
        f"{rates['boxes_per_image']['mean']:.1f} |"
        for name, rates in rows.items()
    ]
    return "\n".join([*lines, "", "Means over the seeds, lowest to highest in brackets, per cent."])


def _ways(figures: dict[str, Any]) -> str:
    boxes, ceiling, scratches = figures["boxes"], figures["ceiling"], figures["per_class"]["scratches"]
    bars = sorted(set(figures["least_expected_overlap"]))
    bar = f"{bars[0]:g}" if len(bars) == 1 else f"{bars[0]:g} to {bars[-1]:g}, by seed"
    return (
        f"- *Cells*: the four stages' outputs on a grid of {figures['cells']} x {figures['cells']}, 216 channels a "
        "cell, and their means over a square, a flat and a tall window. One ridge regression a class learns from the "
        "training boxes which cells lie inside.\n"
        f"- *Shrunk boxes*: neighbouring boxes touch, and touching islands are one. Even a perfect map, cut at one "
        f"level, gives back only {_share(ceiling['map_of_true_boxes']['recall_iou30'])} of the boxes. So the heads "
        f"learn boxes cut by {100 * figures['shrink']:.0f} % at each end, and what is found is widened again: the "
        f"ceiling rises to {_share(ceiling['map_of_shrunk_true_boxes']['recall_iou30'])}.\n"
        "- *Chosen boxes*: no single level cuts all islands well. All levels' islands are candidates, and a second "
        "ridge regression (twelve traits such as size, level, mean inside and step at the border, and their products) "
        f"foretells each one's overlap with a true box. Kept are those with an expected overlap of at least {bar}, the "
        "most promising first, none over another. That lifts recall from "
        f"{_share(boxes['cells_level']['recall_iou30'])} to {_share(boxes['cells']['recall_iou30'])}; the same on the "
        f"activation map gives {_share(boxes['cam_chosen']['recall_iou30'])}, so both the map and the choice count.\n"
        "- *Windows unlike their tile* needs no labels for its map (Mahalanobis distance of a window's means to its "
        f"tile's mean), only for its level, one for all classes. It finds {_share(boxes['window']['recall_iou30'])}, "
        "hardly more than the whole image, and of the scratches "
        f"{_share(scratches['window']['recall_iou30'])}: one level for all classes does not serve."
    )


def _classes(figures: dict[str, Any]) -> str:
    lines = [
        "| class | boxes an image | median box, share of image | covered | recall, whole image | "
        "recall, activation map at 20 % | recall, cells | precision, cells |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, rates in figures["per_class"].items():
        kind = figures["truth"]["per_class"][name]
        lines.append(
            f"| {name} | {kind['boxes_per_image']:.1f} | {100 * kind['median_share_of_image']:.0f} % | "
            f"{100 * kind['covered']:.0f} % | {_share(rates['whole_image']['recall_iou30'])} | "
            f"{_share(rates['cam']['recall_iou30'])} | {_share(rates['cells']['recall_iou30'])} | "
            f"{_share(rates['cells']['precision_iou30'])} |"
        )
    return "\n".join(lines)


def _worth(figures: dict[str, Any]) -> str:
    truth, rates = figures["truth"], figures["per_class"]
    pits, cracks = rates["pitted_surface"], rates["crazing"]
    return (
        "What these boxes are worth: they follow no fixed rule. Crazing and rolled-in scale "
        "have no sharp border, and a field of them is one box here and three there; pitted surface is mostly "
        f"one box around nearly everything, so that the whole image as the answer already finds "
        f"{_share(pits['whole_image']['recall_iou30'])} of its boxes and no way here does much better "
        f"({_share(pits['cells']['recall_iou30'])}). Of all boxes, {truth['named_otherwise']} bear the name of "
        f"another class than their image. Crazing stays the worst ({_share(cracks['cells']['recall_iou30'])}). "
        "Recall at IoU 0.5 is the sterner figure, and a "
        f"mean best IoU of {figures['boxes']['cells']['mean_best_iou']['mean']:.2f} says that a box is a pointer to "
        "where a person should look, not a measurement of the defect's size."
    )


def _plot(figures: dict[str, Any], plots: Plots) -> str:
    classes = figures["per_class"]
    figure = Figure(figsize=(8.6, 5.0))
    axes = figure.subplots(2, 1, sharex=True)
    places, width = np.arange(len(classes)), 0.86 / len(_DRAWN)
    for axis, (measure, title) in zip(
        axes, {"recall_iou30": "recall at IoU 0.3", "precision_iou30": "precision at IoU 0.3"}.items(), strict=True
    ):
        for number, (way, tone) in enumerate(zip(_DRAWN, _TONES, strict=True)):
            rates = [classes[name][way][measure] for name in classes]
            heights = np.array([rate["mean"] for rate in rates])
            spread = np.array([[rate["mean"] - rate["low"], rate["high"] - rate["mean"]] for rate in rates]).T
            at = places + (number - (len(_DRAWN) - 1) / 2) * width
            axis.bar(at, heights, width, color=tone, label=_WAYS[way].strip("*"))
            axis.errorbar(at, heights, spread, fmt="none", ecolor="#1f2933", elinewidth=0.7)
        axis.set_title(title)
        axis.set_ylim(0, 1.02)
        axis.grid(visible=False, axis="x")
    axes[-1].set_xticks(places, [name.replace("_", " ") for name in classes])
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return plots.save(figure, "boxes", "Recall and precision of boxes for each class and way").strip()


def _share(rate: dict[str, float]) -> str:
    return f"{100 * rate['mean']:.1f} %"


def _range(rate: dict[str, float]) -> str:
    return f"{100 * rate['mean']:.1f} ({100 * rate['low']:.1f}-{100 * rate['high']:.1f})"
