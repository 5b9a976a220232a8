"""Found boxes against true ones: each true box is found at most once, and every box too many costs precision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stripwatch_train.study.box_truth import Boxes

Overlaps = npt.NDArray[np.float32]
Tally = npt.NDArray[np.float64]
"""(N, 5) an image: true boxes hit at IoU 0.3, at 0.5, boxes found, true boxes, sum of each true box's best IoU."""

LOOSE, TIGHT = 0.3, 0.5


def overlaps(boxes: Boxes, others: Boxes) -> Overlaps:
    """(K, 4) and (L, 4) to (K, L): intersection over union."""
    inner = np.minimum(boxes[:, None, 2:], others[None, :, 2:]) - np.maximum(boxes[:, None, :2], others[None, :, :2])
    both = np.clip(inner, 0, None).prod(2)  # (K, L)
    either = areas(boxes)[:, None] + areas(others)[None] - both
    return np.asarray(both / np.maximum(either, 1e-9), dtype=np.float32)


def areas(boxes: Boxes) -> Boxes:
    """(K, 4) to (K,) square pixels."""
    size = boxes[:, 2:] - boxes[:, :2]
    return size[:, 0] * size[:, 1]


def hits(table: Overlaps, least: float) -> int:
    """Pairs of found (rows) and true boxes (columns), best overlap first, no box used twice."""
    left = table.copy()
    count = 0
    while left.size and left.max() >= least:
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        left[row], left[:, column] = -1, -1
        count += 1
    return count


def tally(found: Sequence[Boxes], true: Sequence[Boxes]) -> Tally:
    """One row an image."""
    rows = np.zeros((len(true), 5))
    for row, boxes, wanted in zip(rows, found, true, strict=True):
        table = overlaps(boxes, wanted)
        best = float(table.max(0).sum()) if len(boxes) else 0.0
        row[:] = hits(table, LOOSE), hits(table, TIGHT), len(boxes), len(wanted), best
    return rows


def rates(counts: Tally) -> dict[str, float]:
    """Recall and precision over all boxes of these images, not a mean of the images' own."""
    loose, tight, found, true, best = counts.sum(0).tolist()
    recall, precision = loose / true, loose / max(found, 1.0)
    return {
        "recall_iou30": recall,
        "precision_iou30": precision,
        "f1_iou30": 2 * loose / (found + true),
        "recall_iou50": tight / true,
        "mean_best_iou": best / true,
        "boxes_per_image": found / len(counts),
    }
