"""A convolution over three normalised planes of one grey image, as one over the grey image itself: exact everywhere."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stripwatch_train.mobilenet import IMAGENET_MEAN, IMAGENET_STD

WHITE = 255.0


class GreyStem(nn.Module):
    """(N, 1, S, S) grey 0 to 255 to what `conv` gives of the same image as RGB with ImageNet's normalisation.

    The zeros that `conv` pads with are another grey in each plane, so that no grey can stand for them. A second plane,
    white everywhere, is padded with zeros as well: it carries what the normalisation subtracts, wherever a pixel is.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        side, padding = conv.kernel_size[0], int(conv.padding[0])
        self.conv = nn.Conv2d(2, conv.out_channels, side, conv.stride[0], padding)
        weight, mean, std = conv.weight.detach(), _planes(IMAGENET_MEAN), _planes(IMAGENET_STD)
        grey = (weight / (WHITE * std)).sum(1)  # (C, k, k)
        white = (weight * -mean / (WHITE * std)).sum(1)
        self.conv.weight.data.copy_(torch.stack([grey, white], 1))
        if self.conv.bias is not None:
            self.conv.bias.data.copy_(torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach())

    def forward(self, tiles: Tensor) -> Tensor:
        planes = nn.functional.pad(tiles.float(), (0, 0, 0, 0, 0, 1), value=WHITE)  # (N, 2, S, S)
        y: Tensor = self.conv(planes)
        return y


class ColourStem(nn.Module):
    """The same without folding: three planes, normalised before `conv`."""

    mean: Tensor
    scale: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.register_buffer("mean", _planes(IMAGENET_MEAN) * WHITE)
        self.register_buffer("scale", 1 / (_planes(IMAGENET_STD) * WHITE))

    def forward(self, tiles: Tensor) -> Tensor:
        y: Tensor = self.conv((tiles.float() - self.mean) * self.scale)  # (N, 3, S, S)
        return y


def _planes(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).reshape(1, 3, 1, 1)
