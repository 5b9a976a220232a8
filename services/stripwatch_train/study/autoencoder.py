"""The paper's convolutional autoencoder, and its training on healthy images alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stripwatch.pixels import Image
from stripwatch_train.mobilenet import channels_last

SIZE = 128
CHANNELS = (16, 32, 32)
"""Of the three encoder stages: 128 px -> 64 -> 32 -> 16, so the latent is 32 x 16 x 16, 8,192 values."""
EPOCHS = 30
BATCH = 16
RATE = 2e-3

Loss = Callable[[Tensor, Tensor], Tensor]
"""(N, 1, S, S) image and reconstruction to (N,) losses."""


class Autoencoder(nn.Module):
    """Three times 3x3 convolution, ReLU, 2x2 max-pool; back by nearest upsampling and convolution, none transposed."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c = CHANNELS
        self.encoder = nn.Sequential(*_down(1, a), *_down(a, b), *_down(b, c))
        self.decoder = nn.Sequential(*_up(c, b), *_up(b, a), *_up(a, 1)[:-1], nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, 128, 128) in 0..1 to its reconstruction."""
        y: Tensor = self.decoder(self.encoder(x))
        return y


def _down(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]


def _up(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]


def unit(tiles: Tensor) -> Tensor:
    """uint8 grey to float in 0..1."""
    return tiles.float() / 255


def train(tiles: Image, loss: Loss, seed: int, epochs: int = EPOCHS) -> tuple[Autoencoder, list[float]]:
    """Learn to reconstruct (N, 1, 128, 128) uint8 tiles, flipped at random; the net and its mean loss each epoch.

    Adam, the rate following a half cosine to nought, so that the loss comes to rest.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = channels_last(Autoencoder())
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    steps = -(-len(tiles) // BATCH)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * steps)
    x, course = unit(torch.from_numpy(tiles)), []
    for _ in range(epochs):
        order, total = rng.permutation(len(tiles)), 0.0
        for start in range(0, len(order), BATCH):
            batch = _flipped(x[order[start : start + BATCH]], rng).contiguous(memory_format=torch.channels_last)
            optimiser.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):  # half the time; the loss itself stays in float32
                back = net(batch)
            error = loss(batch, back.float()).mean()
            error.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            rate.step()
            total += error.item() * len(batch)
        course.append(total / len(tiles))
    return net.eval(), course


def trained(tiles: Image, loss: Loss, seed: int, cache: Path, epochs: int = EPOCHS) -> tuple[Autoencoder, list[float]]:
    """The same, or what an earlier run on the same tiles left in `cache`."""
    recipe = f"{loss.__name__} {seed} {epochs} {BATCH} {RATE} {CHANNELS}"
    file = cache / f"cae-{hashlib.sha256(tiles.tobytes() + recipe.encode()).hexdigest()[:20]}.pt"
    if file.is_file():
        net, kept = channels_last(Autoencoder()), torch.load(file, weights_only=True)
        net.load_state_dict(kept["net"])
        return net.eval(), kept["course"]
    net, course = train(tiles, loss, seed, epochs)
    part = file.with_suffix(".part")
    torch.save({"net": net.state_dict(), "course": course}, part)
    part.rename(file)
    return net, course


def _flipped(batch: Tensor, rng: np.random.Generator) -> Tensor:
    across, down = rng.integers(0, 2, 2)
    return batch.flip([axis for axis, turned in ((2, down), (3, across)) if turned])
