"""Why rows 1 to 4 score as they do: most repeat a tile's plain contrast, and the latent knows no healthy steel."""

from __future__ import annotations

from typing import Any

import numpy as np

from stripwatch_train.study.paper_rows import ROWS
from stripwatch_train.study.row_figures import DEFECTS, HEALTHY


def reasons(figures: dict[str, Any]) -> str:
    """Two sections: the score against plain contrast, and what is doubtful in the set-up."""
    side, alone = figures["bottleneck"]["shrunk_side"], figures["without_network"]
    lines = ["| rank correlation with | " + " | ".join(row.name for row in ROWS) + " |", "|---" * (len(ROWS) + 1) + "|"]
    for name in alone:
        cells = [_range([seed["correlation"][name] for seed in figures["rows"][row.name]["seeds"]]) for row in ROWS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return f"""### Why: three of the four measure contrast

Two scores need no network and no training: *contrast*, the standard deviation of a tile's grey values, and *detail*,
the root mean square of what is lost when the tile is shrunk to {side} x {side} and grown again. They stand in the last
lines of the AUROC table. How far rows 1 to 4 only repeat them, over all judged images, mean and range of five seeds:

{chr(10).join(lines)}

Median contrast: {_medians(alone["contrast"])}.
Median detail: {_medians(alone["detail"])}.

Rows 1, 2 and 4 score a residual, and it grows with the contrast of what is to be reconstructed, the more so the finer
it is, whatever it shows. Flat steel with a thin scratch leaves little to get wrong; `{HEALTHY}` leaves much, and so
does the mesh of crazing. Detail alone, which has learnt nothing, puts the classes below and above healthy much as these
three do, crazing included; no network's capacity is needed to explain it.

Row 3 follows neither, and varies most from seed to seed. A likely reason, not measured here: its PCA keeps the
directions in which healthy latents differ from each other, so what is foreign in a defect is projected away, and what
is left of it lies in the middle of a wide cloud, where the likelihood is high.

{_bottleneck(figures["bottleneck"])}"""


def _bottleneck(bottleneck: dict[str, Any]) -> str:
    kept, side = bottleneck["variance_kept"], bottleneck["shrunk_side"]
    lines = ["| variance kept | " + " | ".join(kept) + " |", "|---" * (len(kept) + 1) + "|"]
    lines.append("| latent of row 1 | " + " | ".join(f"{share['latent']:.1%}" for share in kept.values()) + " |")
    shrunk = " | ".join(f"{share['shrunk']:.1%}" for share in kept.values())
    lines.append(f"| shrunk to {side} x {side} | {shrunk} |")
    return f"""### What is doubtful in the set-up

`{HEALTHY}` is itself a defect class of NEU, and the one of the highest contrast. NEU has no healthy steel, so what is
compared here is one defect with five others.

And 8,192 numbers for 16,384 pixels are hardly a bottleneck. {_unseen(kept)}

{chr(10).join(lines)}

The second line is the image shrunk to {side} x {side}, {side * side:,} numbers, and grown again. It has half the
latent's room and knows nothing of steel, and yet it keeps more of every class: room is not what the net lacks, and
nothing in its training asks it to lose what is not healthy.
"""


def _unseen(kept: dict[str, Any]) -> str:
    shares = [kept[label]["latent"] for label in DEFECTS]
    return (
        f"Row 1 keeps {kept[HEALTHY]['latent']:.1%} of the pixels' variance of `{HEALTHY}` that it has not seen, and "
        f"{min(shares):.1%} to {max(shares):.1%} of that of the other classes, of which it was never shown an image:"
    )


def _range(values: list[float]) -> str:
    return f"{np.mean(values):+.2f} ({min(values):+.2f} to {max(values):+.2f})"


def _medians(row: dict[str, Any]) -> str:
    medians = {
        label: float(np.mean([seed["classes"][label]["quantiles"][3] for seed in row["seeds"]]))
        for label in (HEALTHY, *DEFECTS)
    }
    return ", ".join(f"{label} {medians[label]:.3f}" for label in sorted(medians, key=lambda label: -medians[label]))
