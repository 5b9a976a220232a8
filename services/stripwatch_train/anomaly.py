"""The shipped anomaly scorer: how far a tile's texture statistics lie from those of healthy steel.

Image-wise on purpose: patch by patch, crazing looks more normal than healthy steel does (docs/paper.md). Thousands of
healthy tiles are known here, so centres stand for them where the study keeps every neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from sklearn.cluster import KMeans
from sklearn.covariance import LedoitWolf
from torch import Tensor, nn

from stripwatch.errors import BadInput
from stripwatch_train.neighbours import Logged, logged

Matrix = npt.NDArray[np.float32]

KINDS_OF_STEEL = 24
"""Healthy steel is not one cloud: coils differ. This many centres share one covariance."""
PERCENTILE = 99.9
MARGIN = 1.25
"""The threshold: this percentile of healthy tiles that were not fitted, times this margin."""
_TRUSTED = 96
"""Percentile of the first fit's distances up to which tiles enter the second: quilted steel hides a few defects."""


@dataclass(frozen=True)
class Healthy:
    """What healthy steel is like: centres in the whitened space of the scatter around them."""

    centres: Matrix  # (k, 432), whitened
    whiten: Matrix  # (432, 432)

    def distances(self, descriptors: Matrix) -> Matrix:
        """(N,) Mahalanobis distance to the nearest centre, per dimension: near 1 for healthy steel."""
        z = logged(descriptors) @ self.whiten
        squared = ((z[:, None, :] - self.centres[None]) ** 2).mean(2)
        return np.asarray(np.sqrt(squared.min(1)), dtype=np.float32)


def fit(descriptors: Matrix, kinds: int = KINDS_OF_STEEL, seed: int = 0) -> Healthy:
    """Centres by k-means and one Ledoit-Wolf covariance around them, fitted twice: the second time without outliers."""
    if len(descriptors) < 10 * kinds:
        raise BadInput(f"healthy descriptors: expected at least {10 * kinds}, got {len(descriptors)}")
    distances = _fit(descriptors, kinds, seed).distances(descriptors)
    return _fit(descriptors[distances <= np.percentile(distances, _TRUSTED)], kinds, seed)


def _fit(descriptors: Matrix, kinds: int, seed: int) -> Healthy:
    x = logged(descriptors)
    clusters = KMeans(kinds, n_init=2, random_state=seed).fit(x)
    around = x - clusters.cluster_centers_[clusters.labels_]
    covariance = LedoitWolf(assume_centered=True).fit(around).covariance_
    values, vectors = np.linalg.eigh(covariance)
    whiten = (vectors / np.sqrt(values)).astype(np.float32)
    return Healthy((clusters.cluster_centers_ @ whiten).astype(np.float32), whiten)


def threshold(healthy: Healthy, unseen: Matrix) -> float:
    """The distance from which on a tile is an anomaly, from healthy tiles that were not fitted."""
    return MARGIN * float(np.percentile(healthy.distances(unseen), PERCENTILE))


class TextureHead(nn.Module):
    """(N, 432) descriptors to (N,) scores; 1.0 is the calibrated threshold."""

    whiten: Tensor
    centres: Tensor
    limit: Tensor

    def __init__(self, healthy: Healthy, limit: float) -> None:
        super().__init__()
        self.logged = Logged(len(healthy.whiten))
        self.register_buffer("whiten", torch.from_numpy(healthy.whiten))
        self.register_buffer("centres", torch.from_numpy(healthy.centres))
        self.register_buffer("limit", torch.tensor(limit))

    def forward(self, descriptors: Tensor) -> Tensor:
        z = self.logged(descriptors) @ self.whiten  # (N, 432)
        squared = ((z[:, None, :] - self.centres[None]) ** 2).mean(2)  # (N, k)
        return torch.sqrt(squared.amin(1)) / self.limit
