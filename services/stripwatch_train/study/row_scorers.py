"""The scores of rows 1 to 4, whole: from grey tiles to one number a tile, in one graph."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stripwatch.errors import BadInput
from stripwatch.pixels import Image
from stripwatch_train.study.autoencoder import Autoencoder, Loss, unit
from stripwatch_train.study.mixture import Mixture

Scores = npt.NDArray[np.float32]


class Reconstruction(nn.Module):
    """(N, 1, 128, 128) uint8 tiles to (N,): how far the net's reconstruction is from the tile, by `distance`."""

    def __init__(self, net: Autoencoder, distance: Loss) -> None:
        super().__init__()
        self.net = net
        self.distance = distance

    def forward(self, tiles: Tensor) -> Tensor:
        image = unit(tiles)
        return self.distance(image, self.net(image))


class Latent(nn.Module):
    """(N, 1, 128, 128) uint8 tiles to the (N, 8192) latents of the net."""

    def __init__(self, net: Autoencoder) -> None:
        super().__init__()
        self.encoder = net.encoder

    def forward(self, tiles: Tensor) -> Tensor:
        latents: Tensor = self.encoder(unit(tiles))  # (N, 32, 16, 16)
        return latents.flatten(1)


class Unlikely(nn.Module):
    """(N, 1, 128, 128) uint8 tiles to (N,) negative log-likelihoods of their latents."""

    def __init__(self, latent: Latent, mixture: Mixture) -> None:
        super().__init__()
        self.latent = latent
        self.mixture = mixture

    def forward(self, tiles: Tensor) -> Tensor:
        score: Tensor = self.mixture(self.latent(tiles))
        return score


class Limited(nn.Module):
    """A score in units of its threshold: from 1.0 on a tile is an anomaly."""

    limit: Tensor

    def __init__(self, scorer: nn.Module, limit: float) -> None:
        super().__init__()
        if limit <= 0:
            raise BadInput(f"threshold: expected above 0, so that scores can be divided by it, got {limit:g}")
        self.scorer = scorer
        self.register_buffer("limit", torch.tensor(limit))

    def forward(self, tiles: Tensor) -> Tensor:
        score: Tensor = self.scorer(tiles) / self.limit
        return score


@torch.inference_mode()
def given(net: nn.Module, tiles: Image, batch: int = 60) -> Scores:
    """What `net` gives for (N, 1, 128, 128) uint8 tiles."""
    parts = [net(torch.from_numpy(tiles[start : start + batch])).numpy() for start in range(0, len(tiles), batch)]
    return np.concatenate(parts)
