"""The shipped classifier: truncated backbone and head, trained together on tiles as the line shows them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from stripwatch.pixels import Image
from stripwatch_train.batches import CLASSES, Labels, Stock, batches
from stripwatch_train.descriptor import DESCRIPTOR, PEAKS, Truncated, described
from stripwatch_train.mobilenet import MobileNetV2
from stripwatch_train.training import Schedule, Training

HIDDEN = 96


class SteelNet(nn.Module):
    """(N, 1, S, S) uint8 tiles to (N, 7) probabilities, calibrated by one temperature."""

    temperature: Tensor

    def __init__(self, backbone: MobileNetV2) -> None:
        super().__init__()
        self.trunk = Truncated(backbone)
        self.norm = nn.BatchNorm1d(DESCRIPTOR + PEAKS, momentum=0.02)
        self.hidden = nn.Linear(DESCRIPTOR + PEAKS, HIDDEN)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(HIDDEN, len(CLASSES))
        self.register_buffer("temperature", torch.ones(()))

    def logits(self, tiles: Tensor) -> Tensor:
        statistics, peaks = self.trunk(tiles)
        return self.answer(statistics, peaks)

    def answer(self, statistics: Tensor, peaks: Tensor) -> Tensor:
        """(N, 7) logits of what the trunk gives: (N, 432) and (N, 160)."""
        x = self.norm(torch.cat([statistics, peaks], 1).float())
        y: Tensor = self.head(self.drop(torch.relu(self.hidden(x))))
        return y

    def forward(self, tiles: Tensor) -> Tensor:
        return torch.softmax(self.logits(tiles) / self.temperature, 1)


class ServedSteel(nn.Module):
    """What is served: (N, 7) probabilities, the (N, 432) descriptor, and with `where` a (N, 20, 20) map."""

    def __init__(self, net: SteelNet, where: nn.Module | None) -> None:
        super().__init__()
        self.net, self.where = net, where

    def forward(self, tiles: Tensor) -> tuple[Tensor, ...]:
        outputs = self.net.trunk.outputs(tiles)
        statistics, peaks = described(outputs)
        probabilities = torch.softmax(self.net.answer(statistics, peaks) / self.net.temperature, 1)
        if self.where is None:
            return probabilities, statistics
        return probabilities, statistics, self.where(outputs, probabilities)


FIRST = Schedule()
SECOND = Schedule(size=160, steps=480, rate=7e-4, seed=1)
THIRD = Schedule(size=160, steps=150, rate=3e-4, seed=2)
FOURTH = Schedule(size=160, steps=360, rate=5e-4, seed=3)
"""Small tiles first, then the final size with the hard tiles added, then those that are still hard."""


def train(net: SteelNet, stock: Stock, schedule: Schedule) -> SteelNet:
    """Train end to end, in place."""
    training = Training(net, schedule)
    feed = batches(stock, schedule.steps, schedule.size, schedule.batch, schedule.seed)
    for x, y in track(feed, total=schedule.steps, description="classifier"):
        with torch.autocast("cpu", torch.bfloat16):
            logits = net.logits(torch.from_numpy(x))
        training.step(nn.functional.cross_entropy(logits.float(), torch.from_numpy(y), label_smoothing=0.02))
    return training.finish()


@torch.inference_mode()
def logits_of(net: SteelNet, tiles: Image, batch: int = 64) -> Tensor:
    """(N, 7) logits in fp32 of (N, 1, S, S) uint8 tiles."""
    return torch.cat([net.logits(torch.from_numpy(tiles[at : at + batch])) for at in range(0, len(tiles), batch)])


def calibrate(net: SteelNet, fold: Iterable[tuple[Image, Labels]]) -> float:
    """Set and return the temperature (Guo et al. 2017) that suits tiles the training has not seen."""
    parts = [(logits_of(net, x), torch.from_numpy(y)) for x, y in fold]
    logits, truth = torch.cat([part for part, _ in parts]), torch.cat([y for _, y in parts])
    candidates = np.geomspace(0.3, 3.0, 60)
    losses = [float(nn.functional.cross_entropy(logits / t, truth)) for t in candidates]
    best = float(candidates[int(np.argmin(losses))])
    net.temperature.fill_(best)
    return best
