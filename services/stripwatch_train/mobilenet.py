"""MobileNetV2 1.0 (Sandler et al. 2018) with torchvision's module layout, so that its weight files fit key by key.

Written out here because torchvision would bring 10 MB and a torch version pin for these eighty lines.
"""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from stripwatch.errors import ModelInvalid, NotFound

HUB = "https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth"
Net = TypeVar("Net", bound=nn.Module)

BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""(expansion, channels, repeats, stride) of the paper's table 2."""
WIDTH = 1280
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU6: keys 0, 1, (2)."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class Block(nn.Module):
    """Inverted residual: expand, filter each channel, project; the input is added where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        parts: list[nn.Module] = [] if expansion == 1 else [conv_bn(inputs, hidden, 1)]
        parts += [conv_bn(hidden, hidden, 3, stride, hidden), nn.Conv2d(hidden, outputs, 1, bias=False)]
        self.conv = nn.Sequential(*parts, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """The backbone without its 1000-way classifier."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_bn(3, 32, 3, 2)]
        channels = 32
        for expansion, outputs, repeats, stride in BLOCKS:
            for repeat in range(repeats):
                layers.append(Block(channels, outputs, stride if repeat == 0 else 1, expansion))
                channels = outputs
        self.features = nn.Sequential(*layers, conv_bn(channels, WIDTH, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) normalised RGB to (N, 1280): features averaged over positions."""
        y: Tensor = self.features(x)
        return y.mean((2, 3))


def pretrained(weights: Path | None) -> MobileNetV2:
    """The ImageNet backbone, in eval mode: from an `.npz` with torchvision's keys, or from torchvision's hub."""
    if weights is None:
        try:
            state = torch.hub.load_state_dict_from_url(HUB, map_location="cpu", check_hash=True, weights_only=True)
        except OSError as error:
            raise NotFound(f"ImageNet weights: cannot fetch {HUB} ({error}); name a file with --weights") from error
        except UnpicklingError as error:
            raise ModelInvalid(f"ImageNet weights: expected tensors and nothing else at {HUB}, got code") from error
    elif weights.is_file():
        with np.load(weights) as arrays:
            state = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    else:
        raise NotFound(f"ImageNet weights: no file {weights}; name one with --weights")
    model = MobileNetV2()
    state = {key: value for key, value in state.items() if key.startswith("features.")}
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ModelInvalid(f"ImageNet weights: {len(missing)} keys missing, {len(unexpected)} unknown: not MobileNetV2")
    return model.eval()


def fold(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution with bias that does what the two do in eval mode."""
    if bn.running_mean is None or bn.running_var is None:
        raise ModelInvalid("BatchNorm without running statistics cannot be folded")
    scale = (bn.weight / torch.sqrt(bn.running_var + bn.eps)).detach()
    groups, padding = conv.groups, int(conv.padding[0])
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    folded = nn.Conv2d(conv.in_channels, conv.out_channels, kernel, stride, padding, groups=groups)
    folded.weight.data.copy_(conv.weight.detach() * scale[:, None, None, None])
    if folded.bias is not None:
        folded.bias.data.copy_(bn.bias.detach() - bn.running_mean * scale)
    return folded


def folded(backbone: MobileNetV2) -> MobileNetV2:
    """`backbone` with each convolution's BatchNorm folded into it, in place."""
    _fold_inside(backbone)
    return backbone


def _fold_inside(module: nn.Module) -> nn.Module:
    if isinstance(module, nn.Sequential):
        kept: list[nn.Module] = []
        for child in module:
            if isinstance(child, nn.BatchNorm2d) and kept and isinstance(kept[-1], nn.Conv2d):
                kept[-1] = fold(kept[-1], child)
            else:
                kept.append(_fold_inside(child))
        return nn.Sequential(*kept)
    for name, child in module.named_children():
        setattr(module, name, _fold_inside(child))
    return module


def channels_last(net: Net) -> Net:
    """The network in the memory layout that a CPU's convolutions like best, in place."""
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net
