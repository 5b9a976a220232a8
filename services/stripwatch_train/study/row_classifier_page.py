"""What row 5 tells on the page: the paper's accuracy over seeds, and every image that was missed."""

from __future__ import annotations

from typing import Any

import numpy as np

from stripwatch_train.study.paper_rows import PRINTED_ACCURACY, PRINTED_LOSS


def told_classifier(row: dict[str, Any]) -> str:
    """Row 5 as Markdown."""
    lines = ["| split | accuracy of five seeds | mean | worst | validation loss |", "|---|---|---|---|---|"]
    for split, ending in (("random, as the paper's", ""), ("overlap groups kept together", "_grouped")):
        shares, losses = row[f"accuracy{ending}"], row[f"validation_loss{ending}"]
        listed = ", ".join(f"{100 * share:.2f}" for share in shares)
        lines.append(
            f"| {split} | {listed} | {100 * np.mean(shares):.2f} % | {100 * min(shares):.2f} % | "
            f"{np.mean(losses):.4f} ({min(losses):.4f} to {max(losses):.4f}) |"
        )
    return f"""### Row 5: the classifier

Frozen ImageNet MobileNetV2, a new linear head, ten epochs at 224 x 224. The paper prints {100 * PRINTED_ACCURACY:.2f} %
(358 of 360) and a validation loss of {PRINTED_LOSS}, from one random split.

{chr(10).join(lines)}

{_confusion(row, "", "Random splits")}
{_confusion(row, "_grouped", "Grouped splits")}
{_missed(row)}"""


def _confusion(row: dict[str, Any], ending: str, title: str) -> str:
    names = row["classes"]
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    lines += [
        f"| {name} | " + " | ".join(map(str, counts)) + " |"
        for name, counts in zip(names, row[f"confusion{ending}"], strict=True)
    ]
    return f"{title}, all five seeds together; lines are the truth, columns the answer:\n\n" + "\n".join(lines) + "\n"


def _missed(row: dict[str, Any]) -> str:
    splits = {"missed": "random", "missed_grouped": "grouped"}
    wrong: dict[tuple[str, str], list[str]] = {}
    for key, split in splits.items():
        for miss in row[key]:
            place = wrong.setdefault((miss["image"], miss["answer"]), [])
            place.append(f"{miss['probability']:.2f} ({split} {miss['seed']})")
    lines = ["| image | called | with probability (split, seed) |", "|---|---|---|"]
    lines += [f"| {image} | {answer} | {', '.join(places)} |" for (image, answer), places in sorted(wrong.items())]
    return f"""Every image that was missed. Its name tells its class; NEU's licence is not stated, so its pixels are not
shown here: `python -m stripwatch_train study rows` draws them all to `var/paper/missed.png`.

{chr(10).join(lines)}
"""
