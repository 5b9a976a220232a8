"""Rows 1 to 4 of the paper's Table 1: how each is trained and scored, and the pair of scores it was printed with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from stripwatch.domain.model import Clahe
from stripwatch.pixels import Image
from stripwatch_train.study import mixture, residual
from stripwatch_train.study.autoencoder import EPOCHS, Autoencoder, Loss, trained
from stripwatch_train.study.row_scorers import Latent, Reconstruction, Unlikely, given

CLAHE = Clahe(clip_limit=2.0, grid=8)
"""The paper names the grid alone; 2 is the usual clip limit."""


@dataclass(frozen=True, slots=True)
class Row:
    """One scorer. `distance` None: the likelihood of the latent. `printed`: healthy score, defect score, its class."""

    name: str
    means: str
    loss: Loss
    distance: Loss | None
    clahe: Clahe | None
    printed: tuple[float, float, str]

    def scorer(self, net: Autoencoder, healthy: Image, groups: Sequence[str], seed: int) -> nn.Module:
        """(N, 1, 128, 128) uint8 to (N,) scores; what it needs to know of healthy steel comes from `healthy`."""
        if self.distance is not None:
            return Reconstruction(net, self.distance)
        latent = Latent(net)
        return Unlikely(latent, mixture.fit(given(latent, healthy), groups, seed))

    def net(self, healthy: Image, seed: int, cache: Path, epochs: int = EPOCHS) -> tuple[Autoencoder, list[float]]:
        """Its autoencoder trained on healthy tiles, from the cache if there, and the course of the loss."""
        return trained(healthy, self.loss, seed, cache, epochs)


ROWS = (
    Row(
        "cae-mse",
        "99th percentile of the residual",
        residual.squared,
        residual.extreme,
        None,
        (0.1102, 0.0092, "scratches"),
    ),
    Row("cae-ssim", "SSIM and L1", residual.hybrid, residual.hybrid, None, (0.2439, 0.0722, "inclusion")),
    Row(
        "cae-gmm",
        "negative log-likelihood of the latent",
        residual.squared,
        None,
        None,
        (129.7, 68.5, "crazing"),
    ),
    Row(
        "clahe-cae",
        "99th percentile of the residual, after CLAHE",
        residual.squared,
        residual.extreme,
        CLAHE,
        (0.3194, 0.1187, "inclusion"),
    ),
)
CLASSIFIER = "mobilenetv2"
"""Row 5."""
PRINTED_ACCURACY, PRINTED_LOSS = 358 / 360, 0.0217
