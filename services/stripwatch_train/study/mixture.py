"""Row 3: how unlikely a latent is under a mixture of Gaussians that was fitted to healthy ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GroupKFold
from torch import Tensor, nn

Matrix = npt.NDArray[np.float32]

DIMENSIONS = 64
COMPONENTS = (1, 2, 4, 8)
"""What is tried; the paper names no number."""
REGULAR = 1e-2
"""Added to the variances, which are about 1: the components are whitened."""
_PARTS = 4


class Mixture(nn.Module):
    """(N, D) latents to (N,) negative log-likelihoods: PCA and mixture as matrices, so that a graph can hold them."""

    mean: Tensor
    project: Tensor
    centres: Tensor
    roots: Tensor
    offsets: Tensor

    def __init__(self, pca: PCA, mixture: GaussianMixture) -> None:
        super().__init__()
        roots = mixture.precisions_cholesky_  # (K, 64): one over the deviations
        heights = np.log(mixture.weights_) + np.log(roots).sum(1)
        arrays = {
            "mean": pca.mean_,
            "project": pca.components_.T / np.sqrt(pca.explained_variance_),  # (D, 64)
            "centres": mixture.means_,  # (K, 64)
            "roots": roots,
            "offsets": heights - pca.n_components_ / 2 * math.log(2 * math.pi),
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)))

    def forward(self, latents: Tensor) -> Tensor:
        z = (latents - self.mean) @ self.project  # (N, 64)
        y = (z[:, None] - self.centres) * self.roots  # (N, K, 64)
        # A product, for OpenVINO (2026.4) is far off where a sum over the last axis meets one constant a row.
        halves = y.new_full((y.shape[2], 1), 0.5)
        logs = self.offsets - ((y * y) @ halves)[:, :, 0]  # (N, K)
        # Log of the sum of exponentials, written out: far from healthy steel every exponential alone is nought.
        highest = logs.amax(1, keepdim=True)
        likelihood: Tensor = highest[:, 0] + torch.log(torch.exp(logs - highest).sum(1))
        return -likelihood


def fit(latents: Matrix, groups: Sequence[str], seed: int) -> Mixture:
    """Fit to (N, D) healthy latents; as many components as make latents that were left out most likely.

    They are left out by whole overlap groups, and the PCA is fitted without them too.
    """
    likelihoods = np.zeros(len(COMPONENTS))
    for inside, outside in GroupKFold(_PARTS).split(latents, groups=groups):
        pca = _pca(latents[inside])
        z, unseen = pca.transform(latents[inside]), pca.transform(latents[outside])
        likelihoods += [_mixture(z, count, seed).score(unseen) for count in COMPONENTS]
    pca = _pca(latents)
    return Mixture(pca, _mixture(pca.transform(latents), COMPONENTS[int(likelihoods.argmax())], seed))


def _pca(latents: Matrix) -> PCA:
    return PCA(DIMENSIONS, whiten=True, svd_solver="full").fit(latents)


def _mixture(z: Matrix, components: int, seed: int) -> GaussianMixture:
    return GaussianMixture(components, covariance_type="diag", reg_covar=REGULAR, random_state=seed).fit(z)
