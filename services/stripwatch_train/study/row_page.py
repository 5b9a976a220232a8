"""What the rows tell on the page: the paper's claim on the whole set, class by class, and why it is as it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from stripwatch_train.study.paper_rows import CLASSIFIER, ROWS
from stripwatch_train.study.plots import Plots
from stripwatch_train.study.row_classifier_page import told_classifier
from stripwatch_train.study.row_figures import DEFECTS, HEALTHY, LIMIT
from stripwatch_train.study.row_plots import course_plot, spread_plot
from stripwatch_train.study.row_reasons import reasons

_LAST = 5
"""Epochs over which the loss must have come to rest."""


def tell(figures: dict[str, Any], plots: Plots) -> str:
    """The section, with its plots drawn."""
    rows = figures["rows"]
    return "\n".join(
        [
            _introduction(figures),
            _claim(figures),
            plots.save(spread_plot(rows), "rows-scores", "Scores of rows 1 to 4 in each class, five seeds"),
            f"Bars: 5 % to 95 % of a class, thick from quarter to quarter, dot at the median; one bar a seed. Blue is "
            f"`{HEALTHY}` held out of the training. The further right, the more anomalous.\n",
            _spreads(rows),
            _pairs(rows),
            reasons(figures),
            _training(figures),
            plots.save(course_plot(rows), "rows-course", "Training loss of the autoencoders, five seeds"),
            told_classifier(rows[CLASSIFIER]),
        ]
    )


def verdict(parted: list[dict[str, Any]]) -> str:
    """Of the claim that healthy scores worse, from AUROCs over seeds: `holds`, `reversed`, or `open` if chance may do.

    It holds where all seeds' intervals lie below one half, and is reversed where all lie above.
    """
    if all(seed["interval"][1] < 0.5 for seed in parted):
        return "holds"
    return "reversed" if all(seed["interval"][0] > 0.5 for seed in parted) else "open"


def _introduction(figures: dict[str, Any]) -> str:
    seeds = figures["rows"][ROWS[0].name]["seeds"]
    return f"""## The paper's five rows, on the whole of NEU

Images at 128 x 128, grey. Rows 1 to 4 learn from 80 % of `{HEALTHY}` alone, overlap groups kept together, and judge the
other 20 % against all images of the other five classes, over {len(seeds)} seeds. An AUROC is the chance that a defect
scores above a healthy tile: 0.5 is a coin, and below it the scorer is wrong more often than right. The paper's claim,
its Capacity Paradox, is that healthy steel scores *worse* than defects; it holds where the AUROC lies below 0.5.
Each row is a model that the anomaly or classifier service serves by its name; `python -m stripwatch_train study rows`
leaves them in `models/local`.
"""


def _claim(figures: dict[str, Any]) -> str:
    rows = {row.name: figures["rows"][row.name] for row in ROWS}
    rows |= {f"no network: {name}": row for name, row in figures["without_network"].items()}
    lines = ["| scorer | overall | " + " | ".join(DEFECTS) + " |", "|---" * (len(DEFECTS) + 2) + "|"]
    for name, row in rows.items():
        cells = [_auroc([seed["overall"] for seed in row["seeds"]])]
        cells += [_auroc([seed["classes"][label] for seed in row["seeds"]]) for label in DEFECTS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    found = []
    for row in ROWS:
        words: dict[str, list[str]] = {"holds": [], "reversed": [], "open": []}
        for label in DEFECTS:
            words[verdict([seed["classes"][label] for seed in figures["rows"][row.name]["seeds"]])].append(label)
        overall = verdict([seed["overall"] for seed in figures["rows"][row.name]["seeds"]])
        told = {"holds": "it holds", "reversed": "the reverse holds", "open": "it is open"}
        parts = [f"{told[word]} for {', '.join(labels)}" for word, labels in words.items() if labels]
        found.append(f"- **{row.name}**: taken together {told[overall]}; {'; '.join(parts)}.")
    return f"""### Does healthy steel score worse?

AUROC, mean of five seeds; in brackets the 95 % bootstrap intervals' lowest and highest end over the seeds.

{chr(10).join(lines)}

The claim that healthy steel scores worse than defects, where all five intervals agree on it:

{chr(10).join(found)}
"""


def _spreads(rows: dict[str, Any]) -> str:
    lines = ["| scorer | " + " | ".join((f"{HEALTHY} (healthy)", *DEFECTS)) + " |", "|---" * (len(DEFECTS) + 2) + "|"]
    for row in ROWS:
        cells = []
        for label in (HEALTHY, *DEFECTS):
            quantiles = np.array([seed["classes"][label]["quantiles"] for seed in rows[row.name]["seeds"]])
            low, middle, high = quantiles[:, 0].min(), quantiles[:, 3].mean(), quantiles[:, -1].max()
            cells.append(f"{_score(middle)} ({_score(low)} to {_score(high)})")
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    return "Median (mean of five seeds) and range (over all five) of the scores:\n\n" + "\n".join(lines) + "\n"


def _pairs(rows: dict[str, Any]) -> str:
    lines = [
        "| scorer | the paper's pair | highest healthy, lowest defect | lowest healthy, highest defect |",
        "|---|---|---|---|",
    ]
    for row in ROWS:
        first = rows[row.name]["seeds"][0]
        healthy, defect, label = row.printed
        lines.append(
            f"| {row.name} | {healthy} against {label} {defect} ({healthy / defect:.1f} x) | {_pair(first['pair'])} | "
            f"{_pair(first['counter_pair'])} |"
        )
    return f"""### What a single pair shows

The paper prints one pair a row. Seed 0, the most extreme pairs that the set has, in both directions:

{chr(10).join(lines)}

Wherever two clouds overlap, a pair can be picked for either claim; so a pair decides nothing, and the AUROC above does.
"""


def _training(figures: dict[str, Any]) -> str:
    lines = []
    for row in (row for row in ROWS if row.distance is not None):
        courses = np.array([seed["course"] for seed in figures["rows"][row.name]["seeds"]])
        last, before = courses[:, -_LAST:].mean(1), courses[:, -2 * _LAST : -_LAST].mean(1)
        lines.append(f"{row.name} {courses[:, -1].mean():.5f} (by {(1 - last / before).max():.1%} at most)")
    return f"""### Training

Three 3 x 3 convolutions with ReLU and 2 x 2 max-pooling to 16 x 16 x 32, back by nearest upsampling and convolution;
Adam, batches of {figures["batch"]}, {figures["epochs"]} epochs, random flips, the rate falling to nought on half a
cosine. Row 3 is fitted to row 1's latents: PCA to 64, a diagonal mixture whose number of components is chosen by
cross-validated likelihood inside the training part. Thresholds of the served models: the {100 * LIMIT:.0f}th percentile
of held-out `{HEALTHY}`.
Loss at the end, and how far the last {_LAST} epochs fell below the {_LAST} before: {"; ".join(lines)}.
"""


def _auroc(parted: list[dict[str, Any]]) -> str:
    low, high = min(seed["interval"][0] for seed in parted), max(seed["interval"][1] for seed in parted)
    return f"{np.mean([seed['auroc'] for seed in parted]):.3f} ({low:.3f} to {high:.3f})"


def _pair(pair: dict[str, Any]) -> str:
    healthy, defect = pair["healthy"], pair["defect"]
    return f"{_score(healthy['score'])} ({healthy['image']}) against {_score(defect['score'])} ({defect['image']})"


def _score(score: float) -> str:
    return f"{score:.4f}" if abs(score) < 10 else f"{score:,.1f}"
