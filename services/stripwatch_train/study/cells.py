"""Cells of a tile on the frozen backbone, and one linear head a class that tells whether a cell lies in a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  the name all of torch's users know

from stripwatch_train.study.box_truth import Boxes
from stripwatch_train.study.outline import Map

SIZE = 160
"""Of the tile that the backbone sees."""
SIDE = SIZE // 8
"""Cells along a tile's side."""
SHRINK = 0.1
"""Of a box's side, cut off at each end before it is drawn: touching boxes come apart (PSENet, Wang et al. 2019,
doi:10.1109/CVPR.2019.00956, does so for lines of text)."""
MARGIN = SHRINK / (1 - 2 * SHRINK)
"""What brings a shrunk box back to its size, for `boxes_of`."""

WINDOWS = ((7, 7), (1, 9), (9, 1))
_PENALTY = 0.03
SQUARE = slice(216, 432)
"""Where in a cell's 864 numbers the means over the square window lie."""

Cells = npt.NDArray[np.float16]


def cells(outputs: Sequence[Tensor]) -> Tensor:
    """The four stages' outputs (strides 4, 8, 16, 16) to (N, 864, S/8, S/8): 216 channels, and their means over a
    square window, a flat and a tall one."""
    fine, middle, *coarse = outputs
    side = middle.shape[-2:]
    wide = [F.interpolate(output, side, mode="bilinear") for output in coarse]
    x = torch.cat([F.avg_pool2d(fine, 2), middle, *wide], 1)  # (N, 216, S/8, S/8)
    return torch.cat([x, *(averaged(x, window) for window in WINDOWS)], 1)


def averaged(x: Tensor, window: tuple[int, int]) -> Tensor:
    """(N, C, H, W) means over a window (odd height, odd width) around each cell, of what lies inside the tile."""
    return F.avg_pool2d(x, window, 1, (window[0] // 2, window[1] // 2), count_include_pad=False)


def drawn(boxes: Boxes, shrink: float, side: int = 200) -> Map:
    """(SIDE, SIDE) the share of each cell that lies in a box, each box smaller by `shrink` of its side at each end."""
    plane = np.zeros((side, side), dtype=np.float32)
    for left, top, right, bottom in boxes.tolist():
        dx, dy = shrink * (right - left), shrink * (bottom - top)
        plane[round(top + dy) : round(bottom - dy), round(left + dx) : round(right - dx)] = 1
    return np.asarray(cv2.resize(plane, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Moments:
    """All that least squares needs of a set of cells; sets are joined by adding, left out by subtracting."""

    outer: npt.NDArray[np.float64]
    """(F + 2, F + 2): sums of products of the features, a one, and what is wanted."""

    @classmethod
    def of(cls, features: Cells, wanted: Map) -> Moments:
        """(N, P, F) features of N tiles' cells and (N, P) what the head should say of them.

        Every other cell, as on a chessboard: neighbours see nearly the same.
        """
        board = np.add.outer(np.arange(SIDE), np.arange(SIDE)).ravel() % 2 == 0
        x = features[:, board].reshape(-1, features.shape[2]).astype(np.float32)
        table = np.concatenate([x, np.ones((len(x), 1), np.float32), wanted[:, board].reshape(-1, 1)], 1)
        return cls((table.T @ table).astype(np.float64))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.outer + other.outer)

    def __sub__(self, other: Moments) -> Moments:
        return Moments(self.outer - other.outer)

    def head(self) -> npt.NDArray[np.float32]:
        """(F + 1,) ridge regression on standardised features: a weight for each, then the constant."""
        mean = self.outer[-2] / self.outer[-2, -2]
        centred = self.outer / self.outer[-2, -2] - np.outer(mean, mean)
        scale = np.sqrt(np.maximum(np.diag(centred)[:-2], 1e-8))
        within = centred[:-2, :-2] / np.outer(scale, scale)
        weights = np.linalg.solve(within + _PENALTY * np.eye(len(scale)), centred[:-2, -1] / scale) / scale
        return np.append(weights, mean[-1] - mean[:-2] @ weights).astype(np.float32)


def judged(features: Cells, heads: Sequence[npt.NDArray[np.float32]]) -> Map:
    """(N, P, F) cells and each tile's head to (N, SIDE, SIDE): about 1 inside a box, about 0 outside."""
    maps = [tile.astype(np.float32) @ head[:-1] + head[-1] for tile, head in zip(features, heads, strict=True)]
    return np.stack(maps).reshape(-1, SIDE, SIDE)
