"""The anomaly scorer's backbone: a student that learns, without any label, to describe a small view as the
pretrained network describes a larger one (Hinton et al. 2015; the target is the descriptor, not a class)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from torch import Tensor, nn

from stripwatch.pixels import Image, resize
from stripwatch_train.batches import Stock, varied
from stripwatch_train.descriptor import DESCRIPTOR, Truncated
from stripwatch_train.mobilenet import MobileNetV2, channels_last
from stripwatch_train.neu import SIZE

SHARES = {"whole": 0.3, "mosaic": 0.15, "clean": 0.2, "quilted": 0.1, "flaw": 0.15, "magnetic": 0.1}
TEACHER_SIZE = 128


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a student is trained."""

    size: int = 96
    steps: int = 400
    batch: int = 48
    rate: float = 4e-4
    seed: int = 0


class Student(nn.Module):
    """(N, 1, S, S) uint8 tiles to (N, 432): the teacher's standardised descriptor, as well as S px show it."""

    def __init__(self, backbone: MobileNetV2) -> None:
        super().__init__()
        self.trunk = Truncated(backbone)
        self.scale = nn.Parameter(torch.ones(DESCRIPTOR))
        self.shift = nn.Parameter(torch.zeros(DESCRIPTOR))

    def forward(self, tiles: Tensor) -> Tensor:
        statistics, _ = self.trunk(tiles)
        described: Tensor = statistics * self.scale + self.shift
        return described


def views(stock: Stock, extra: Image, count: int, batch: int, seed: int) -> Iterator[Image]:
    """`count` batches of (batch, 200, 200) varied tiles; what they show is not told."""
    rng = np.random.default_rng(seed)
    kinds, shares = list(SHARES), np.array(list(SHARES.values()))
    if not len(extra):
        shares[kinds.index("magnetic")] = 0
    for _ in range(count):
        tiles = np.empty((batch, SIZE, SIZE), dtype=np.uint8)
        for at, kind in enumerate(rng.choice(len(kinds), batch, p=shares / shares.sum())):
            magnetic = kinds[kind] == "magnetic"
            tile = extra[rng.integers(len(extra))] if magnetic else stock.draw(kinds[kind], rng)[0]
            tiles[at] = varied(tile, rng, SIZE)
        yield tiles


def at_size(tiles: Image, size: int) -> Tensor:
    """(N, 1, size, size) uint8."""
    return torch.from_numpy(np.stack([resize(tile, size) for tile in tiles])[:, None])


def distil(backbone: MobileNetV2, stock: Stock, extra: Image, schedule: Schedule) -> tuple[Student, float]:
    """The student, and the share of the teacher's variance that it explains on views it was not trained on."""
    torch.manual_seed(schedule.seed)
    teacher = channels_last(Truncated(backbone)).eval()
    student = channels_last(Student(backbone))
    known = list(views(stock, extra, 16, schedule.batch, schedule.seed + 1))
    with torch.inference_mode():
        target = torch.cat([teacher(at_size(tiles, TEACHER_SIZE))[0] for tiles in known])
        start = torch.cat([student.trunk(at_size(tiles, schedule.size))[0] for tiles in known])
    mean, spread = target.mean(0).clone(), target.std(0).clone() + 1e-6
    with torch.no_grad():
        student.scale.copy_(1 / (start.std(0) + 1e-6))
        student.shift.copy_(-start.mean(0) * student.scale)
    optimiser = torch.optim.AdamW(student.parameters(), lr=schedule.rate, weight_decay=1e-3)
    pace = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _pace(step, schedule.steps))
    feed = views(stock, extra, schedule.steps, schedule.batch, schedule.seed + 2)
    for tiles in track(feed, total=schedule.steps, description="distillation"):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            wanted = (teacher(at_size(tiles, TEACHER_SIZE))[0].float() - mean) / spread
        with torch.autocast("cpu", torch.bfloat16):
            given = student(at_size(tiles, schedule.size))
        loss = nn.functional.smooth_l1_loss(given.float(), wanted.clone())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimiser.step()
        pace.step()
    student.eval()
    return student, _explained(student, teacher, stock, extra, schedule, mean, spread)


@torch.inference_mode()
def describe(student: Student, tiles: Image, size: int, batch: int = 64) -> npt.NDArray[np.float32]:
    """(N, 432) descriptors of (N, 200, 200) tiles."""
    parts = [student(at_size(tiles[at : at + batch], size)) for at in range(0, len(tiles), batch)]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


@torch.inference_mode()
def _explained(
    student: Student, teacher: nn.Module, stock: Stock, extra: Image, schedule: Schedule, mean: Tensor, spread: Tensor
) -> float:
    fresh = list(views(stock, extra, 6, schedule.batch, schedule.seed + 3))
    wanted = torch.cat([(teacher(at_size(tiles, TEACHER_SIZE))[0] - mean) / spread for tiles in fresh])
    given = torch.cat([student(at_size(tiles, schedule.size)) for tiles in fresh])
    return 1 - float(((given - wanted) ** 2).mean() / wanted.var(0).mean())


def _pace(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / 30) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
