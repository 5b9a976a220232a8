"""From a map that says where to boxes: what stands above a level, island by island. NumPy and OpenCV only."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from stripwatch.errors import BadInput
from stripwatch_train.study.box_truth import Boxes

Map = npt.NDArray[np.float32]
Traits = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.float64]

_CANVAS = 100
"""The map is enlarged to this side before it is cut, so that a box does not end at the border of a coarse cell."""
_LEAST_SHARE = 0.005
"""Of the tile: a smaller island is noise. All but one of NEU-DET's boxes are larger."""
_RING = 0.2
"""Of a box's side: how far its surroundings reach out, and its core lies in."""
TRAITS = 12


def boxes_of(where: Map, threshold: float, margin: float = 0.0, side: int = 200) -> Boxes:
    """(S, S) map to (K, 4) boxes in pixels of a tile of `side`: one for each island at or above `threshold`.

    `margin` widens each box by that share of its size on every side, for maps that mark a box's inner part.
    """
    unit = side / _CANVAS
    above = (_enlarged(where) >= threshold).astype(np.uint8)
    _, _, islands, _ = cv2.connectedComponentsWithStats(above, connectivity=8)  # (1 + K, 5)
    start, size = islands[1:, :2] * unit, islands[1:, 2:4] * unit
    kept = size.prod(1) >= _LEAST_SHARE * side * side
    start, size = start[kept], size[kept]
    boxes = np.concatenate([start - margin * size, start + (1 + margin) * size], 1)
    return np.asarray(np.clip(boxes, 0, side), dtype=np.float32)


def candidates(where: Map, levels: Sequence[float], margin: float = 0.0, side: int = 200) -> tuple[Boxes, Traits]:
    """The islands of every level, each box once, and (K, 12) what can be said of them before any is believed.

    A low level joins what belongs apart, a high one cuts what belongs together: the right one differs from island to
    island, so all are offered.
    """
    parts = [boxes_of(where, level, margin, side) for level in levels]
    boxes = np.concatenate(parts)
    at = np.repeat(np.asarray(levels, dtype=np.float64), [len(part) for part in parts])
    _, first = np.unique(boxes.round(), axis=0, return_index=True)
    order = np.sort(first)
    return boxes[order], _traits(_enlarged(where), boxes[order].astype(np.float64) / side, at[order])


def _traits(plane: Map, boxes: Numbers, at: Numbers) -> Traits:
    """Level, log width and height, the four borders, mean inside, in the core, step to outside, the tile's two."""
    sums = np.asarray(cv2.integral(plane, sdepth=cv2.CV_64F), dtype=np.float64)  # (101, 101)
    size = boxes[:, 2:] - boxes[:, :2]
    reach = np.concatenate([-size, size], 1) * _RING
    inside, pixels = _sum(sums, boxes)
    core, core_pixels = _sum(sums, boxes - reach)
    wide, wide_pixels = _sum(sums, boxes + reach + np.array([-0.02, -0.02, 0.02, 0.02]))
    edge = 0.015
    columns = [
        at,
        *np.log(np.maximum(size, 1e-3)).T,
        *(boxes[:, :2] < edge).T,
        *(boxes[:, 2:] > 1 - edge).T,
        inside / pixels,
        core / core_pixels,
        (wide - inside) / np.maximum(wide_pixels - pixels, 1),
        np.full(len(boxes), plane.mean()),
        np.full(len(boxes), plane.max()),
    ]
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], 1)  # (K, 12)


def _sum(sums: Numbers, boxes: Numbers) -> tuple[Numbers, Numbers]:
    """Sum over each box (as shares of the tile) and how many pixels that were, at least one."""
    start = np.clip(np.round(boxes[:, :2] * _CANVAS).astype(np.int64), 0, _CANVAS - 1)
    end = np.clip(np.round(boxes[:, 2:] * _CANVAS).astype(np.int64), start + 1, _CANVAS)
    (left, top), (right, bottom) = start.T, end.T
    total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return total, (end - start).prod(1).astype(np.float64)


def _enlarged(where: Map) -> Map:
    if where.ndim != 2:
        raise BadInput(f"map: expected two dimensions, got shape {where.shape}")
    plane = cv2.resize(where.astype(np.float32), (_CANVAS, _CANVAS), interpolation=cv2.INTER_LINEAR)
    return np.asarray(plane, dtype=np.float32)
