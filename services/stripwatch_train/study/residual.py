"""How far a reconstruction is from its image: squared error, 99th percentile of the residual, SSIM with L1."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from stripwatch_train.study.autoencoder import SIZE

PERCENTILE = 99
SHARE = 0.84
"""Of 1 - SSIM in the hybrid, the rest being L1 (Zhao et al. 2017, doi:10.1109/TCI.2016.2644865)."""
WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
"""Window and constants of SSIM (Wang et al. 2004, doi:10.1109/TIP.2003.819861), for grey values in 0..1."""


def _lines(size: int) -> Tensor:
    """(size - 10, size): the Gaussian window at each place of a line. A product with it convolves, but faster."""
    offsets = torch.arange(WINDOW) - WINDOW // 2
    weights = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    lines = [functional.pad(weights / weights.sum(), (at, size - WINDOW - at)) for at in range(size - WINDOW + 1)]
    return torch.stack(lines)


_LINES = _lines(SIZE)


def squared(image: Tensor, back: Tensor) -> Tensor:
    """(N,) mean squared errors."""
    return ((image - back) ** 2).mean((1, 2, 3))


def extreme(image: Tensor, back: Tensor) -> Tensor:
    """(N,) 99th percentiles of the absolute residual, between ranks as NumPy does it."""
    residual = (image - back).abs().flatten(1)
    place = (100 - PERCENTILE) / 100 * (residual.shape[1] - 1)  # from the top
    rank = math.floor(place)
    highest = residual.topk(rank + 2, dim=1).values
    return highest[:, rank] + (place - rank) * (highest[:, rank + 1] - highest[:, rank])


def similarity(image: Tensor, back: Tensor) -> Tensor:
    """(N,) mean structural similarities (SSIM) under a Gaussian window, 1 for equal images."""
    planes = torch.cat([image, back, image * image, back * back, image * back], 1)  # (N, 5, S, S)
    a, b, aa, bb, ab = (_LINES @ planes @ _LINES.T).unbind(1)  # (N, S - 10, S - 10) each: local means
    top = (2 * a * b + C1) * (2 * (ab - a * b) + C2)
    bottom = (a * a + b * b + C1) * (aa - a * a + bb - b * b + C2)
    return (top / bottom).mean((1, 2))


def hybrid(image: Tensor, back: Tensor) -> Tensor:
    """(N,) SSIM + L1, as loss and as score."""
    return SHARE * (1 - similarity(image, back)) + (1 - SHARE) * (image - back).abs().mean((1, 2, 3))
