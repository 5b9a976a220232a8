"""The section of the page on the anomaly scorer."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from stripwatch_train.study.plots import ACCENT, SECOND, Plots


def tell(figures: dict[str, Any], plots: Plots) -> str:
    """What works, what does not, and why."""
    f = figures["anomaly"]
    ours, patchwise, heat = f["methods"]["ours"], f["patchwise"], f["map"]
    plot = plots.save(_bars(f), "anomaly", "AUROC by class: image-wise and patch-wise scorers")
    neu, magnetic = ours["neu"], ours["magnetic"]
    nearest, gauss = (patchwise[name] for name in ("nearest patch", "patch Mahalanobis"))
    hardest = min(magnetic["per_class"], key=magnetic["per_class"].__getitem__)
    return f"""## An anomaly scorer that works without labels

**Magnetic tiles first**, where healthy and defective come from one camera: with four fifths of their own 952 healthy
images to learn from, a mean AUROC of **{magnetic["overall"]["mean"]:.4f}** over five seeds (worst
{magnetic["overall"]["worst"]:.4f}; 95 % interval of the first seed {_interval(magnetic)}). The aim of 0.98 is
{"met" if magnetic["overall"]["mean"] >= 0.98 else "missed"}: `{hardest}` ({magnetic["per_class"][hardest]:.3f}) holds
it down, defects that change a narrow border of the tile and hardly a statistic of the whole.

On NEU, with `patches` for healthy as in the paper (whole overlap groups held out), the same method gives
**{neu["overall"]["mean"]:.4f}** overall (worst seed {neu["overall"]["worst"]:.4f}) and {f["auroc_worst_class"]:.4f}
for the worst class; {ours["few"]["overall"]["mean"]:.4f} with {f["few"]} healthy images, and
{ours["contaminated"]["overall"]["mean"]:.4f} with {f["contamination"]:.0%} defects mixed into the healthy ones.

**How.** A tile is described by the mean and the deviation of the channels of `features[3], [6], [10], [13]` of the
frozen network, at 128 and at 64 px: {2 * 432} numbers. Deviations enter by their logarithm. Healthy examples that lie
too far from ten others are set aside. The score is the distance to the three nearest healthy examples, once whitened
by a Ledoit-Wolf covariance and once not, each in deviations of what one half of the healthy examples gives as the other half sees it; the
larger one counts. No label of a defect is used, and nothing was tuned by class. The choices were made on earlier
trials with these same sets, so read small differences in the table as noise.

| method | NEU | worst class | {f["few"]} healthy | {f["contamination"]:.0%} bad | magnetic tiles |
|---|---|---|---|---|---|
{_rows(f)}

Three things in the table carry the result:
- **Logarithms.** A defect may show *less* texture than healthy steel. On a linear scale half the contrast lies nearer
  than twice the contrast; on a logarithmic one they are as far. Mahalanobis distance rises from
  {f["methods"]["Mahalanobis"]["neu"]["overall"]["mean"]:.4f} to
  {f["methods"]["Mahalanobis, logarithms"]["neu"]["overall"]["mean"]:.4f} on NEU by that alone.
- **Two measures.** Whitened distance is best on magnetic tiles ({_mean(f, "whitened alone", "magnetic")} against
  {_mean(f, "plain alone", "magnetic")} plain), plain distance on NEU ({_mean(f, "plain alone", "neu")} against
  {_mean(f, "whitened alone", "neu")}): a scratch breaks the pattern of the numbers, crazing shifts all of them
  together.
- **Strays.** With {f["contamination"]:.0%} defects among the healthy examples the score falls to
  {_mean(f, "ours, strays kept", "contaminated")}, since each defect then has a neighbour of its own kind. Asking for
  ten neighbours finds them: a few defects of one kind are company for each other, but not for ten.

{plot}
**Patch by patch it fails as the autoencoders do.** The nearest healthy patch (PatchCore's idea) gives
{nearest["neu"]["overall"]["mean"]:.4f} on NEU and {nearest["neu"]["per_class"]["crazing"]:.4f} on crazing; patch
Mahalanobis (PaDiM's) {gauss["neu"]["overall"]["mean"]:.4f} and {gauss["neu"]["per_class"]["crazing"]:.4f}. On
magnetic tiles {nearest["magnetic"]["overall"]["mean"]:.4f} and {gauss["magnetic"]["overall"]["mean"]:.4f}. This is
the paper's Capacity Paradox again, without any autoencoder: `patches` is rough, so almost every smooth patch of
crazed steel has a near neighbour among its patches, and a tile's strangest patch says nothing of patches that are all
alike and all wrong. What is missing is not capacity but the question: whether this *mixture* of patches occurs in
healthy steel. A mean and a deviation ask it.

**Where.** The same statistics in {heat["windows"]} windows of {heat["window_px"]} px give a map. On defective
magnetic tiles the hottest pixel lies on the defect, and the map's pixels tell it from its surroundings, as follows:

| | {" | ".join(heat["pixel_auroc"])} |
|---|{"---|" * len(heat["pixel_auroc"])}
| pixel AUROC | {" | ".join(f"{value:.3f}" for value in heat["pixel_auroc"].values())} |
| hottest pixel on the defect | {" | ".join(f"{value:.0%}" for value in heat["hottest_pixel_on_defect"].values())} |

The map shows where to look; it is no better a scorer: the hottest window alone gives
{heat["hottest_window_auroc"]:.3f}.

The whole score is in one graph, `models/local/{f["model"]["name"]}` (tiles in, score out, 1.0 the threshold); it gives
the same AUROC ({f["model"]["auroc"]:.4f}, seed 0) and differs from the measured scores by at most
{f["model"]["largest_difference"]:g}."""


def _rows(f: dict[str, Any]) -> str:
    lines = []
    for name, one in f["methods"].items():
        label = f"**{name}**" if name == "ours" else name
        lines.append(_row(label, one))
    lines += [_row(f"ours, {size} px alone", one) for size, one in f["sizes"].items()]
    for name, one in f["patchwise"].items():
        neu, magnetic = one["neu"], one["magnetic"]["overall"]["mean"]
        worst = min(neu["per_class"].values())
        lines.append(f"| {name} | {neu['overall']['mean']:.4f} | {worst:.4f} | | | {magnetic:.4f} |")
    for name, one in f["rows"].items():
        lines.append(f"| `{name}` (row of the paper) | {one['overall']:.4f} | {one['worst_class']:.4f} | | | |")
    return "\n".join(lines)


def _row(label: str, one: dict[str, Any]) -> str:
    means = [one[name]["overall"]["mean"] for name in ("few", "contaminated", "magnetic")]
    worst = min(one["neu"]["per_class"].values())
    return (
        f"| {label} | {one['neu']['overall']['mean']:.4f} | {worst:.4f} | "
        + " | ".join(f"{m:.4f}" for m in means)
        + " |"
    )


def _mean(f: dict[str, Any], method: str, question: str) -> str:
    return f"{f['methods'][method][question]['overall']['mean']:.4f}"


def _interval(one: dict[str, Any]) -> str:
    low, high = one["interval"]
    return f"{low:.4f} to {high:.4f}"


def _bars(f: dict[str, Any]) -> Figure:
    """Per class of NEU: ours beside the patch-wise methods."""
    figure = Figure(figsize=(7.2, 2.9))
    axes = figure.subplots()
    series = {"ours (whole tile)": (f["methods"]["ours"]["neu"]["per_class"], SECOND)}
    for (name, one), colour in zip(f["patchwise"].items(), (ACCENT, "#a16207"), strict=True):
        series[name] = (one["neu"]["per_class"], colour)
    width = 0.8 / len(series)
    for number, (name, (values, colour)) in enumerate(series.items()):
        at = np.arange(len(values)) + (number - 1) * width
        axes.bar(at, list(values.values()), width, label=name, color=colour)
    axes.set_xticks(np.arange(len(values)), list(values))
    axes.axhline(0.5, color="#1f2933", linewidth=0.8, linestyle=":")
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("AUROC against healthy")
    axes.set_title("Whole tiles are told apart, single patches are not")
    axes.legend(loc="lower left", ncols=3, framealpha=0.9, frameon=True, edgecolor="none")
    axes.grid(axis="x", visible=False)
    return figure
