"""The shipped classifier: truncated backbone and head, trained together on tiles as the line shows them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from stripwatch.pixels import Image
from stripwatch_train.batches import CLASSES, Labels, Stock, batches
from stripwatch_train.descriptor import DESCRIPTOR, PEAKS, Truncated, described
from stripwatch_train.mobilenet import MobileNetV2, channels_last

HIDDEN = 96
_EMA = 0.995


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a classifier is trained."""

    size: int = 128
    steps: int = 700
    batch: int = 64
    rate: float = 1e-3
    backbone_share: float = 0.5
    seed: int = 0


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
    """Train end to end with AdamW, warm-up and a cosine; what comes back is the average over the last steps."""
    torch.manual_seed(schedule.seed)
    channels_last(net)
    average = torch.optim.swa_utils.AveragedModel(
        net,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(_EMA),  # type: ignore[no-untyped-call]
        use_buffers=True,
    )
    trunk = list(net.trunk.parameters())
    rest = [p for name, p in net.named_parameters() if not name.startswith("trunk.")]
    optimiser = torch.optim.AdamW(
        [{"params": trunk, "lr": schedule.rate * schedule.backbone_share}, {"params": rest, "lr": schedule.rate}],
        weight_decay=0.01,
    )
    pace = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1.0, (step + 1) / 50) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / schedule.steps))),
    )
    net.train()
    feed = batches(stock, schedule.steps, schedule.size, schedule.batch, schedule.seed)
    for x, y in track(feed, total=schedule.steps, description="classifier"):
        with torch.autocast("cpu", torch.bfloat16):
            logits = net.logits(torch.from_numpy(x))
        loss = nn.functional.cross_entropy(logits.float(), torch.from_numpy(y), label_smoothing=0.02)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        pace.step()
        average.update_parameters(net)
    net.load_state_dict(average.module.state_dict())
    return net.eval()


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
