"""The paper's recipe: ImageNet MobileNetV2 kept frozen, a new linear head, ten epochs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch_train.features import Features
from stripwatch_train.mobilenet import IMAGENET_MEAN, IMAGENET_STD, WIDTH, MobileNetV2
from stripwatch_train.split import Rows

EPOCHS = 10
BATCH = 32
RATE = 0.001
DROPOUT = 0.2


@dataclass(frozen=True)
class Trial:
    """One training of the head and what it gave on its validation images."""

    seed: int
    head: nn.Linear
    accuracy: float
    loss: float
    confusion: npt.NDArray[np.int64]  # (6, 6) rows: truth, columns: answer
    missed: tuple[int, ...]


def train_head(features: Features, labels: npt.NDArray[np.int64], train: Rows, validation: Rows, seed: int) -> Trial:
    """Train on `train`, judge on `validation`. `features` is (4, N, 1280): each epoch draws one flip an image."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head = nn.Linear(WIDTH, len(NEU_CLASSES))
    net = nn.Sequential(nn.Dropout(DROPOUT), head)  # as torchvision's classifier
    optimiser = torch.optim.Adam(head.parameters(), lr=RATE)
    x, y = torch.from_numpy(features), torch.from_numpy(labels)
    net.train()
    for _ in range(EPOCHS):
        order = rng.permutation(train)
        for start in range(0, len(order), BATCH):
            rows = torch.from_numpy(order[start : start + BATCH])
            flips = torch.from_numpy(rng.integers(0, len(features), len(rows)))
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(x[flips, rows]), y[rows]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    net.eval()
    with torch.inference_mode():
        logits: Tensor = net(x[0, validation])
        truth = y[validation]
        loss = float(nn.functional.cross_entropy(logits, truth))
        answers = logits.argmax(1)
    confusion = np.zeros((len(NEU_CLASSES),) * 2, dtype=np.int64)
    np.add.at(confusion, (truth.numpy(), answers.numpy()), 1)
    missed = tuple(int(row) for row in validation[(answers != truth).numpy()])
    return Trial(seed, head, float((answers == truth).float().mean()), loss, confusion, missed)


class PaperNet(nn.Module):
    """What is served: (N, 1, 224, 224) uint8 grey in, (N, 6) probabilities out, normalisation inside."""

    mean: Tensor
    scale: Tensor

    def __init__(self, backbone: MobileNetV2, head: nn.Linear) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        # Three planes before the padding convolution: one folded plane would be wrong along the border, where the
        # zeros of the padding mean another grey in each channel.
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(1, 3, 1, 1) * 255)
        self.register_buffer("scale", 1 / (torch.tensor(IMAGENET_STD).reshape(1, 3, 1, 1) * 255))

    def forward(self, tiles: Tensor) -> Tensor:
        x = (tiles.float() - self.mean) * self.scale  # (N, 3, 224, 224)
        return torch.softmax(self.head(self.backbone(x)), 1)
