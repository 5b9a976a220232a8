"""Where a tile is unusual: windows of it, each judged by the same statistics as the whole."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stripwatch_train import neighbours
from stripwatch_train.descriptor import EPSILON
from stripwatch_train.evaluate import auroc
from stripwatch_train.study.frozen import Frozen
from stripwatch_train.study.magnetic import DEFECTS, HEALTHY, Magnetic
from stripwatch_train.study.study import Study, small

SIZE = 128
CELLS = 8
WINDOW = 2
"""Cells along a window's side: 32 of 128 px, one window every 16 px."""
_SIDE = CELLS - WINDOW + 1
_FITTED = 20_000
"""Healthy windows that the measure is fitted to."""

_FINE = 64

Map = npt.NDArray[np.float32]


class WindowNet(nn.Module):
    """(N, 1, 128, 128) uint8 tiles to (N, 49, 432): mean and deviation of each stage inside each window."""

    def __init__(self, frozen: Frozen) -> None:
        super().__init__()
        self.frozen = frozen

    def forward(self, tiles: Tensor) -> Tensor:
        described: list[Tensor] = []
        for output in self.frozen.maps(tiles):
            cell = output.shape[-1] // CELLS
            mean = nn.functional.avg_pool2d(output, WINDOW * cell, cell)  # (N, C, 7, 7)
            square = nn.functional.avg_pool2d(output * output, WINDOW * cell, cell)
            described += [mean, torch.sqrt(torch.clamp(square - mean * mean, min=0) + EPSILON)]
        return torch.cat(described, 1).flatten(2).transpose(1, 2)


def where(study: Study, magnetic: Magnetic, seed: int = 0) -> dict[str, Any]:
    """How well the map tells defective from sound places on magnetic tiles, by their pixel masks."""
    windows = study.through(WindowNet(study.frozen), small(list(magnetic.images), SIZE), "windows-magnetic")
    own, held = magnetic.split(seed)
    flat = windows[own].reshape(-1, windows.shape[2])
    chosen = np.random.default_rng(seed).permutation(len(flat))[:_FITTED]
    x = neighbours.logged(flat[chosen])
    mean, turn = neighbours.turned(x, whitened=True)
    z = (neighbours.logged(windows.reshape(-1, windows.shape[2])) - mean) @ turn
    scores = np.sqrt((z**2).mean(1)).reshape(len(windows), _SIDE, _SIDE)
    areas, pointed = {}, {}
    for label in DEFECTS:
        rows = [int(row) for row in np.flatnonzero(magnetic.labels == label) if magnetic.masks[row] is not None]
        pixels = [one for row in rows if (one := _pixels(scores[row], magnetic, row))[1].any()]
        areas[label] = round(_pixel_auroc(pixels), 4)
        pointed[label] = round(float(np.mean([mask[int(heat.argmax())] for heat, mask in pixels])), 4)
    return {
        "windows": _SIDE**2,
        "window_px": WINDOW * SIZE // CELLS,
        "pixel_auroc": areas,
        "hottest_pixel_on_defect": pointed,
        "hottest_window_auroc": round(
            auroc(scores[held].max((1, 2)), scores[magnetic.labels != HEALTHY].max((1, 2))), 4
        ),
    }


def _pixels(scores: Map, magnetic: Magnetic, row: int) -> tuple[Map, npt.NDArray[np.bool_]]:
    """The map and the mask of one image at 64 x 64, flat: each window's score at its middle, between them a slope."""
    at = ((np.arange(_FINE) + 0.5) * CELLS / _FINE - WINDOW / 2).astype(np.float32)  # in windows
    heat = cv2.remap(scores, *np.meshgrid(at, at), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = magnetic.masks[row]
    small_mask = cv2.resize(np.asarray(mask, dtype=np.float32), (_FINE, _FINE), interpolation=cv2.INTER_AREA) > 64
    return np.asarray(heat, dtype=np.float32).ravel(), np.asarray(small_mask).ravel()


def _pixel_auroc(pixels: list[tuple[Map, npt.NDArray[np.bool_]]]) -> float:
    heat, mask = (np.concatenate(part) for part in zip(*pixels, strict=True))
    return auroc(heat[~mask], heat[mask])
