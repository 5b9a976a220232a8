"""The untouched backbone, cut off: texture statistics of MobileNetV2's middle stages (432 numbers a tile)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stripwatch_train.descriptor import CHANNELS, STAGES, staged, statistics
from stripwatch_train.mobilenet import IMAGENET_MEAN, IMAGENET_STD, MobileNetV2, folded


class Frozen(nn.Module):
    """`features[0..13]` of the ImageNet network, BatchNorm folded, nothing trained.

    Three planes, unlike the trunks that ship: only so is the border exactly that of the pretrained network.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, backbone: MobileNetV2) -> None:
        super().__init__()
        plain = MobileNetV2()
        plain.load_state_dict(backbone.state_dict())
        self.features = nn.Sequential(*list(folded(plain.eval()).features)[: STAGES[-1] + 1])
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(1, 3, 1, 1) * 255)
        self.register_buffer("scale", 1 / (torch.tensor(IMAGENET_STD).reshape(1, 3, 1, 1) * 255))

    def maps(self, tiles: Tensor) -> list[Tensor]:
        """(N, 1, S, S) uint8 grey to the outputs of STAGES: (N, 24, S/4, S/4), (N, 32, S/8, S/8), (N, 64 and 96,
        S/16, S/16)."""
        return staged(self.features, (tiles.float() - self.mean) * self.scale)  # of (N, 3, S, S)

    def forward(self, tiles: Tensor) -> Tensor:
        """(N, 1, S, S) uint8 grey to (N, 432): mean and deviation over positions, stage by stage."""
        return torch.cat([statistics(output) for output in self.maps(tiles)], 1)


def columns(stages: Sequence[int]) -> npt.NDArray[np.int64]:
    """Where in the 432 numbers the statistics of these stages lie."""
    ends = np.cumsum([2 * channels for channels in CHANNELS])
    parts = [
        np.arange(end - 2 * channels, end)
        for stage, channels, end in zip(STAGES, CHANNELS, ends, strict=True)
        if stage in stages
    ]
    return np.concatenate(parts).astype(np.int64)
