"""The top of the page: what was asked, what was found, how to repeat it."""

from __future__ import annotations

from typing import Any

ROWS = ("cae-mse", "cae-ssim", "cae-gmm", "clahe-cae")


def summary(f: dict[str, Any], seconds: dict[str, int]) -> str:
    """A table of questions and answers, from the stages that have figures."""
    asked = [line for key, lines in _ANSWERS if key in f for line in lines(f)]
    return f"""# The paper, reproduced and gone past

Bandyopadhyay et al. (2026, DOI [10.5281/zenodo.20690511](https://doi.org/10.5281/zenodo.20690511)) report that on the NEU
hot-rolled steel database four unsupervised autoencoder scorers find healthy steel worse than defects, a *Capacity Paradox*,
while a frozen ImageNet MobileNetV2 with a new head names 358 of 360 images. This page repeats all five rows, says what holds
on the whole set, and goes on: why it happens, a scorer without labels to which it does not happen, and a classifier that is
almost never wrong.

`make paper` writes this page, its plots and [results/paper.json](results/paper.json) again from the images; each section's
figures are in `results/NAME.json` with the command, the data's hash, versions and seeds. It resumes where it was stopped.
The stages took {sum(seconds.values()) / 60:.0f} minutes together on two busy cores. Nothing here shows NEU's pictures:
their licence is not stated.

| question | answer |
|---|---|
{chr(10).join(asked)}"""


def _rows(f: dict[str, Any]) -> list[str]:
    areas = ", ".join(f"`{name}` {f['rows'][name]['auroc_overall']['mean']:.3f}" for name in ROWS)
    five = [100 * accuracy for accuracy in f["rows"]["mobilenetv2"]["accuracy"]]
    grouped = [100 * accuracy for accuracy in f["rows"]["mobilenetv2"]["accuracy_grouped"]]
    return [
        f"| Do the four autoencoders find healthy steel worse? | Yes, on the whole set (AUROC below 0.5: {areas}), though "
        "not for every class |",
        f"| Does the frozen MobileNetV2 reach 99.44 %? | Yes: mean {sum(five) / len(five):.2f} % over five random splits, "
        f"{sum(grouped) / len(grouped):.2f} % with overlapping crops kept on one side |",
    ]


def _anomaly(f: dict[str, Any]) -> list[str]:
    a = f["anomaly"]
    return [
        f"| Is there a scorer without labels that works? | Yes: AUROC {a['auroc_overall_mean']:.4f} on NEU (worst class "
        f"{a['auroc_worst_class']:.4f}), {a['auroc_magnetic']:.4f} on magnetic tiles, one method |",
        f"| With {a['few']} healthy images? With {a['contamination']:.0%} defects among them? | {a['auroc_few']:.4f}; "
        f"{a['auroc_contaminated']:.4f} |",
    ]


def _classifier(f: dict[str, Any]) -> list[str]:
    lines = []
    for name, one in f["classifier"]["profiles"].items():
        lines.append(
            f"| How often is the {name} classifier right ({one['mmac']:.0f} MMAC, the paper's {f['classifier']['network']['mmac']:.0f})? | "
            f"{100 * one['grouped']['mean']:.3f} % on twenty grouped splits, {100 * one['random']['mean']:.3f} % on twenty "
            f"random ones ({one['random']['perfect']} of them perfect) |"
        )
    return lines


def _openset(f: dict[str, Any]) -> list[str]:
    o = f["openset"]
    return [
        f"| Is an unknown kind of defect noticed? | AUROC {o['auroc_mean']['sum']:.4f} over six left-out classes (worst "
        f"{o['auroc_worst_class']['sum']:.4f}) |"
    ]


def _boxes(f: dict[str, Any]) -> list[str]:
    b = f["boxes"]
    plain, best = b["cam"]["recall_iou30"]["mean"], b["cells"]["recall_iou30"]["mean"]
    return [
        f"| Where in the tile? | Recall of NEU-DET's boxes at IoU 0.3: {best:.1%}, by the plain activation map {plain:.1%} |"
    ]


def _shipped(f: dict[str, Any]) -> list[str]:
    lines = []
    for name, one in f["shipped"].items():
        held = one["heldout_images"]
        lines.append(
            f"| What does the {name} model reach that ships (seven classes, int8, {one['bytes'] / 1e6:.1f} MB)? | "
            f"{held['accuracy']:.2%} of 360 held-out images; {held['disturbed']['degraded']:.2%} degraded |"
        )
    return lines


_ANSWERS = (
    ("rows", _rows),
    ("anomaly", _anomaly),
    ("classifier", _classifier),
    ("openset", _openset),
    ("boxes", _boxes),
    ("shipped", _shipped),
)
