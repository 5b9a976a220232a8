"""Two profiles of one method: what each sees of a tile, what it learns from, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from stripwatch.pixels import Image
from stripwatch_train.features import FLIPS
from stripwatch_train.mobilenet import MobileNetV2
from stripwatch_train.rough import roughened
from stripwatch_train.study.frozen import Frozen
from stripwatch_train.study.study import Matrix, Study

ROUGH = 6
"""Disturbed views of each image that the head learns from, beside its four flips."""
_ROUGH_SEED = 98


@dataclass(frozen=True, slots=True)
class Profile:
    """Input sizes whose descriptors stand side by side."""

    name: str
    sizes: tuple[int, ...]

    def described(self, study: Study, images: Image) -> Matrix:
        """(N, 432 for each size) of (N, 200, 200) images."""
        return np.hstack([study.described(images, size) for size in self.sizes])

    def taught(self, study: Study) -> Matrix:
        """(4 + ROUGH, N, D): the flips of each image, then its disturbed views; the first is the image itself."""
        images = study.neu.images
        return np.stack([self.described(study, views) for views in [*flipped(images), *_rough(images)]])

    def macs(self, study: Study) -> float:
        """Million multiplications a tile, in the convolutions; the head is `Head.support.size` more."""
        return sum(macs(study.frozen, size) for size in self.sizes)

    @property
    def size(self) -> int:
        """What a server has to send: the smaller input is made of the larger."""
        return max(self.sizes)


ACCURATE = Profile("accurate", (200, 64))
FAST = Profile("fast", (64,))
PROFILES = (ACCURATE, FAST)


def flipped(images: Image) -> list[Image]:
    """The four FLIPS of (N, H, W) images; the first is the images themselves."""
    return [np.ascontiguousarray(images[:, ::rows, ::columns]) for rows, columns in FLIPS]


def _rough(images: Image) -> list[Image]:
    views = []
    for number in range(ROUGH):
        rng = np.random.default_rng((_ROUGH_SEED, number))
        rows, columns = FLIPS[number % len(FLIPS)]
        views.append(np.stack([roughened(np.ascontiguousarray(image[::rows, ::columns]), rng) for image in images]))
    return views


@torch.inference_mode()
def macs(net: Frozen | MobileNetV2, size: int) -> float:
    """Million multiplications of all convolutions for one tile of size x size px."""
    total = 0

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += output[0].numel() * layer.weight[0].numel()

    hooks = [layer.register_forward_hook(count) for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    planes = 3 if isinstance(net, MobileNetV2) else 1
    net(torch.zeros(1, planes, size, size))
    for hook in hooks:
        hook.remove()
    return round(total / 1e6, 2)
