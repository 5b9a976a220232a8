"""What the field does instead: judge every patch by itself, and a tile by its strangest patch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor, nn

from stripwatch_train.study.frozen import Frozen

Patches = npt.NDArray[np.float32]

SIDE = 16
"""Patches along a side of a 128 px tile: the grid of stage 6."""
BANK = 2000
"""Healthy patches that are kept: a random draw in place of the coreset of the original."""


class PatchNet(nn.Module):
    """(N, 1, 128, 128) uint8 tiles to (N, 256, 96): stages 6 and 10, each patch averaged with its neighbours."""

    def __init__(self, frozen: Frozen) -> None:
        super().__init__()
        self.frozen = frozen

    def forward(self, tiles: Tensor) -> Tensor:
        _, fine, coarse, _ = self.frozen.maps(tiles)
        coarse = nn.functional.interpolate(coarse, scale_factor=2.0, mode="nearest")  # (N, 64, 16, 16)
        near = nn.functional.avg_pool2d(torch.cat([fine, coarse], 1), 3, 1, 1, count_include_pad=False)
        return near.flatten(2).transpose(1, 2)


@dataclass(frozen=True)
class PatchBank:
    """Distance to the nearest healthy patch (PatchCore's idea, Roth et al. 2022, doi:10.1109/CVPR52688.2022.01392)."""

    patches: Patches  # (BANK, C)

    @classmethod
    def fit(cls, healthy: Patches, seed: int) -> PatchBank:
        flat = healthy.reshape(-1, healthy.shape[2])
        return cls(flat[np.random.default_rng(seed).permutation(len(flat))[:BANK]])

    def scores(self, patches: Patches) -> Patches:
        """(N,) the greatest distance of a tile's patches."""
        own = (self.patches**2).sum(1)
        out = np.empty(len(patches), dtype=np.float32)
        for row, x in enumerate(patches):
            squared = (x**2).sum(1) + (own[:, None] - 2 * self.patches @ x.T).min(0)
            out[row] = np.sqrt(max(float(squared.max()), 0.0))
        return out


@dataclass(frozen=True)
class PatchGauss:
    """Mahalanobis distance of patches (PaDiM's idea, Defard et al. 2021, doi:10.1007/978-3-030-68799-1_35).

    One Gaussian for all places: a strip has no places.
    """

    mean: Patches
    whiten: Patches

    @classmethod
    def fit(cls, healthy: Patches) -> PatchGauss:
        flat = healthy.reshape(-1, healthy.shape[2])
        values, vectors = np.linalg.eigh(LedoitWolf().fit(flat).covariance_)
        return cls(flat.mean(0), np.asarray(vectors / np.sqrt(np.maximum(values, 1e-9)), dtype=np.float32))

    def scores(self, patches: Patches) -> Patches:
        """(N,) the greatest distance of a tile's patches."""
        z = (patches - self.mean) @ self.whiten
        return np.asarray(np.sqrt((z**2).sum(2).max(1)), dtype=np.float32)
