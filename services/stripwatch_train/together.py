"""One trunk for two answers: trained on for the class while it goes on telling what the pretrained network tells.

A trunk that is trained for the class alone forgets textures that no class needs, and an anomaly scorer on it grows
blind to them. So a second loss asks that the pretrained descriptor can still be read off its statistics by one matrix
(learning without forgetting, Li and Hoiem 2016, with a regression in place of the old classes): a Mahalanobis distance
does not care which matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from stripwatch.pixels import Image
from stripwatch_train import training
from stripwatch_train.batches import Labels, Stock, varied
from stripwatch_train.classifier import SteelNet
from stripwatch_train.descriptor import DESCRIPTOR, Truncated
from stripwatch_train.mobilenet import MobileNetV2, channels_last
from stripwatch_train.rough import roughened
from stripwatch_train.training import Training

_MEASURED = 12
"""Batches from which the scale of the pretrained descriptor is taken."""


@dataclass(frozen=True, slots=True)
class Schedule(training.Schedule):
    """`rough` is the share of disturbed tiles, `remember` the weight of the second loss."""

    size: int = 160
    steps: int = 320
    rate: float = 4e-4
    warm_up: int = 40
    seed: int = 5
    rough: float = 0.4
    remember: float = 0.5
    teacher_size: int = 128


FIFTH = Schedule()
SIXTH = Schedule(steps=420, rate=5e-4, rough=0.5, seed=6)
FAST = Schedule(size=64, steps=700, rate=8e-4, remember=0.2, teacher_size=64, seed=7)
"""The accurate profile's last two stages, and the fast one's, which starts from them."""


def views(stock: Stock, schedule: Schedule, count: int, seed: int) -> Iterator[tuple[Image, Labels]]:
    """`count` batches of (batch, 1, size, size) uint8 tiles, some of them disturbed, and (batch,) labels."""
    rng = np.random.default_rng(seed)
    kinds, shares = list(stock.shares), np.array(list(stock.shares.values()))
    for _ in range(count):
        x = np.empty((schedule.batch, 1, schedule.size, schedule.size), dtype=np.uint8)
        y = np.empty(schedule.batch, dtype=np.int64)
        for at, kind in enumerate(rng.choice(len(kinds), schedule.batch, p=shares / shares.sum())):
            tile, y[at] = stock.draw(kinds[kind], rng)
            seen = roughened(tile, rng) if rng.random() < schedule.rough else tile
            x[at, 0] = varied(seen, rng, schedule.size)
        yield x, y


def train(net: SteelNet, backbone: MobileNetV2, stock: Stock, schedule: Schedule) -> SteelNet:
    """Train `net` on, in place; what comes back is the average over the last steps."""
    teacher = _Teacher(backbone, schedule, views(stock, schedule, _MEASURED, schedule.seed + 1))
    torch.manual_seed(schedule.seed)
    reader = nn.Linear(DESCRIPTOR, DESCRIPTOR)
    norm = nn.BatchNorm1d(DESCRIPTOR, affine=False)
    steps = Training(net, schedule, reader)
    feed = views(stock, schedule, schedule.steps, schedule.seed)
    for x, y in track(feed, total=schedule.steps, description="one trunk"):
        tiles = torch.from_numpy(x)
        told = teacher(tiles)
        with torch.autocast("cpu", torch.bfloat16):
            statistics, peaks = net.trunk(tiles)
        statistics = statistics.float()
        logits = net.answer(statistics, peaks.float())
        classes = nn.functional.cross_entropy(logits, torch.from_numpy(y), label_smoothing=0.02)
        memory = nn.functional.smooth_l1_loss(reader(norm(statistics)), told)
        steps.step(classes + schedule.remember * memory)
    return steps.finish()


class _Teacher:
    """The pretrained descriptor of a tile, each number in its own standard deviations."""

    def __init__(self, backbone: MobileNetV2, schedule: Schedule, known: Iterator[tuple[Image, Labels]]) -> None:
        self._trunk = channels_last(Truncated(backbone)).eval()
        self._size = schedule.teacher_size
        told = torch.cat([self._tell(torch.from_numpy(x)) for x, _ in known])
        self._mean, self._spread = told.mean(0), told.std(0) + 1e-6

    def __call__(self, tiles: Tensor) -> Tensor:
        """(N, 432) of (N, 1, S, S) uint8 tiles."""
        return ((self._tell(tiles) - self._mean) / self._spread).clone()

    @torch.inference_mode()
    def _tell(self, tiles: Tensor) -> Tensor:
        small = nn.functional.interpolate(tiles.float(), (self._size, self._size), mode="area")
        with torch.autocast("cpu", torch.bfloat16):
            told: Tensor = self._trunk(small)[0].float()
        return told
