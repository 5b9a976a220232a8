"""The truncated backbone that ships: one grey plane in, texture statistics out (SCIENCE.md, trial 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from stripwatch.errors import ModelInvalid
from stripwatch_train.mobilenet import IMAGENET_MEAN, IMAGENET_STD, MobileNetV2, folded

STAGES = (3, 6, 10, 13)
"""The `features` whose outputs are described; what comes after the last is cut off."""
CHANNELS = (24, 32, 64, 96)
DESCRIPTOR = 2 * sum(CHANNELS)
PEAKS = CHANNELS[-2] + CHANNELS[-1]

GREY_MEAN = 255 * sum(IMAGENET_MEAN) / 3
GREY_SCALE = 1 / (255 * sum(IMAGENET_STD) / 3)
EPSILON = 1e-4


class Truncated(nn.Module):
    """`features[0..13]` with BatchNorm folded away and the three colour planes of the first convolution summed.

    Summing is exact inside the tile; along its border the zeros of the padding mean a slightly other grey. The
    network is trained further from here, so that no longer matters; what it saves is two thirds of the input.
    """

    def __init__(self, backbone: MobileNetV2) -> None:
        super().__init__()
        plain = MobileNetV2()
        plain.load_state_dict(backbone.state_dict())
        layers = list(folded(plain.eval()).features)[: STAGES[-1] + 1]
        stem = layers[0]
        if not isinstance(stem, nn.Sequential) or not isinstance(stem[0], nn.Conv2d):
            raise ModelInvalid("backbone: expected a convolution first")
        stem[0] = one_plane(stem[0])
        self.features = nn.Sequential(*layers)

    def outputs(self, tiles: Tensor) -> list[Tensor]:
        """(N, 1, S, S) grey 0 to 255 to what STAGES give: (N, 24, S/4, S/4), (N, 32, S/8, S/8), (N, 64 and 96, S/16,
        S/16)."""
        return staged(self.features, (tiles.float() - GREY_MEAN) * GREY_SCALE)

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 1, S, S) grey 0 to 255 to (N, 432) mean and deviation of stages, and (N, 160) peaks of the last two."""
        return described(self.outputs(tiles))


def described(outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """What STAGES give to (N, 432) means and deviations over positions, and (N, 160) peaks of the last two."""
    return torch.cat([statistics(x) for x in outputs], 1), torch.cat([x.amax((2, 3)) for x in outputs[-2:]], 1)


def statistics(output: Tensor) -> Tensor:
    """(N, C, H, W) to (N, 2C): each channel's mean, then each channel's standard deviation."""
    mean = output.mean((2, 3), keepdim=True)
    return torch.cat([mean.flatten(1), torch.sqrt(((output - mean) ** 2).mean((2, 3)) + EPSILON)], 1)


def staged(features: nn.Sequential, x: Tensor) -> list[Tensor]:
    """What STAGES give of a normalised input."""
    outputs: list[Tensor] = []
    for number, layer in enumerate(features):
        x = layer(x)
        if number in STAGES:
            outputs.append(x)
    return outputs


def one_plane(conv: nn.Conv2d) -> nn.Conv2d:
    """A convolution over normalised RGB as one over normalised grey, for grey images stored as three equal planes."""
    grey = nn.Conv2d(1, conv.out_channels, conv.kernel_size[0], conv.stride[0], 1)
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    weight = conv.weight.detach()
    grey.weight.data.copy_((weight / (255 * std)[None, :, None, None]).sum(1, keepdim=True) / GREY_SCALE)
    shift = (GREY_MEAN / 255 - mean) / std  # what the middle grey is in each plane
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
    if grey.bias is not None:
        grey.bias.data.copy_(bias + (weight * shift[None, :, None, None]).sum((1, 2, 3)))
    return grey


def unchanged(state: Mapping[str, Tensor], origin: MobileNetV2) -> list[str]:
    """Names of the tensors that are still the pretrained ones, as they were or folded: these must not be shipped."""
    known = [value.numpy() for value in origin.state_dict().values()]
    known += [value.detach().numpy() for value in Truncated(origin).state_dict().values()]
    prints = {_print(array) for array in known if array.size > 1}
    return [key for key, value in state.items() if value.numel() > 1 and _print(value.detach().numpy()) in prints]


def _print(array: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bytes:
    return np.ascontiguousarray(array, dtype=np.float32).tobytes()
