"""How unlike healthy steel a descriptor is: its distance to the nearest healthy ones, measured in two ways.

Fitted to healthy descriptors alone. One distance is whitened (correlated numbers count once: it sees what breaks the
pattern), the other is not (it sees what is weaker or stronger in everything, such as crazing). Each is told in standard
deviations of what one half of the healthy examples gives as the other half sees it, and the larger one counts. With few
examples the two scales are only roughly alike, since a half is shrunk more than the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor, nn

from stripwatch.errors import BadInput
from stripwatch_train.descriptor import CHANNELS

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.floating[Any]]

NEAREST = 3
"""Healthy neighbours whose squared distances are averaged."""
OUTLIER = 3.5
"""Robust deviations from which on a healthy example is taken for a stray (Iglewicz and Hoaglin 1993)."""
_COMPANY = 10
"""Neighbours of a stray: a few defects of one kind keep each other company, ten do not come together."""
_LEAST = 8
_TINY = 1e-3


def logged(descriptors: Matrix) -> Matrix:
    """(N, k * 432) with deviations replaced by their logarithms: half the texture is as unusual as twice of it."""
    out = descriptors.copy()
    spread = deviations(descriptors.shape[1])
    out[:, spread] = np.log(descriptors[:, spread])
    return out


@dataclass(frozen=True)
class Measure:
    """One distance: standardise, turn, and average over the nearest healthy neighbours; then its own scale."""

    mean: Matrix  # (D,)
    turn: Matrix  # (D, D), standardising included
    bank: Matrix  # (n, D), turned
    middle: float
    spread: float

    def deviations(self, x: Matrix) -> Matrix:
        """(N,) deviations from healthy of (N, D) logged descriptors."""
        logs = np.log(_nearest(self.bank, (x - self.mean) @ self.turn))
        return np.asarray((logs - self.middle) / self.spread, dtype=np.float32)


@dataclass(frozen=True)
class Healthy:
    """What healthy steel is like, in both measures; `strays` examples were left out as too unlike the rest."""

    measures: tuple[Measure, ...]
    strays: int

    def scores(self, descriptors: Matrix) -> Matrix:
        """(N,) of (N, D) descriptors: deviations from healthy steel, in the measure that sees more of them."""
        x = logged(descriptors)
        return np.asarray(np.max([measure.deviations(x) for measure in self.measures], axis=0), dtype=np.float32)


def fit(descriptors: Matrix, *, measures: tuple[bool, ...] = (True, False), trim: bool = True) -> Healthy:
    """Learn from (n, D) healthy descriptors; `measures` says of each whether it is whitened."""
    if len(descriptors) < _LEAST:
        raise BadInput(f"healthy descriptors: expected at least {_LEAST}, got {len(descriptors)}")
    x = logged(descriptors)
    kept = x[~strays(x)] if trim else x
    if len(kept) < 2 * NEAREST:  # each half of them is the bank of the other
        raise BadInput(f"healthy descriptors: expected at least {2 * NEAREST} alike, got {len(kept)} of {len(x)}")
    return Healthy(tuple(_measure(kept, whitened) for whitened in measures), len(x) - len(kept))


def strays(x: Matrix) -> npt.NDArray[np.bool_]:
    """(n,) which of the examples lie too far from their neighbours to be healthy."""
    plain = (x - x.mean(0)) / (x.std(0) + _TINY)
    logs = np.log(_nearest(plain, plain, min(_COMPANY, len(x) - 2), itself=True))
    middle = np.median(logs)
    spread = 1.4826 * np.median(np.abs(logs - middle))
    return np.asarray(logs > middle + OUTLIER * spread)


def _measure(x: Matrix, whitened: bool) -> Measure:
    """Its scale comes from each half of the examples as the other half sees it: a fitted example lies too near."""
    halves = np.arange(len(x)) % 2 == 0
    seen = []
    for half in (halves, ~halves):
        mean, turn = turned(x[half], whitened=whitened)
        bank, others = ((x[side] - mean) @ turn for side in (half, ~half))
        seen.append(np.log(_nearest(bank, others)))
    logs = np.concatenate(seen)
    mean, turn = turned(x, whitened=whitened)
    bank = (x - mean) @ turn
    return Measure(mean, turn, bank.astype(np.float32), float(logs.mean()), float(logs.std()))


def turned(x: Matrix, *, whitened: bool) -> tuple[Matrix, Matrix]:
    """(D,) and (D, D): subtract, multiply, and distances are Euclidean."""
    mean: Matrix = x.mean(0)
    spread = x.std(0) + _TINY
    turn = np.eye(x.shape[1], dtype=np.float32)
    if whitened:
        values, vectors = np.linalg.eigh(LedoitWolf().fit((x - mean) / spread).covariance_)
        turn = vectors / np.sqrt(np.maximum(values, 1e-9))
    return mean, np.asarray(turn / spread[:, None], dtype=np.float32)


def _nearest(bank: Floats, z: Floats, count: int = NEAREST, *, itself: bool = False) -> Matrix:
    """(N,) root of the mean squared distance to the `count` nearest of the bank; `itself`: row i is not its own."""
    squared = np.maximum((z**2).sum(1)[:, None] + (bank**2).sum(1)[None] - 2 * z @ bank.T, 0)  # (N, n)
    if itself:
        np.fill_diagonal(squared, np.inf)
    nearest = np.partition(squared, count - 1, axis=1)[:, :count]
    return np.asarray(np.sqrt(nearest.mean(1) + 1e-12), dtype=np.float32)


def deviations(width: int) -> npt.NDArray[np.int64]:
    """Columns that hold a deviation, in one or several descriptors of 432 numbers side by side."""
    single, at = [], 0
    for channels in CHANNELS:
        single.append(np.arange(at + channels, at + 2 * channels))
        at += 2 * channels
    columns = np.concatenate(single)
    return np.concatenate([columns + start for start in range(0, width, at)])


class Logged(nn.Module):
    """`logged` for a graph: (N, k * 432) to the same."""

    columns: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        columns = torch.zeros(width, dtype=torch.bool)
        columns[torch.from_numpy(deviations(width))] = True
        self.register_buffer("columns", columns)

    def forward(self, descriptors: Tensor) -> Tensor:
        return torch.where(self.columns, torch.log(torch.clamp(descriptors, min=1e-6)), descriptors)


class NeighboursNet(nn.Module):
    """(N, D) descriptors to (N,) scores: `Healthy.scores` over a limit, so that 1.0 is the threshold."""

    def __init__(self, healthy: Healthy, limit: float) -> None:
        super().__init__()
        self.count = len(healthy.measures)
        self.logged = Logged(healthy.measures[0].mean.size)
        self.register_buffer("limit", torch.tensor(limit))
        for number, measure in enumerate(healthy.measures):
            for name in ("mean", "turn", "bank"):
                self.register_buffer(f"{name}{number}", torch.from_numpy(np.ascontiguousarray(getattr(measure, name))))
            self.register_buffer(f"scale{number}", torch.tensor([measure.middle, measure.spread]))

    def forward(self, descriptors: Tensor) -> Tensor:
        x = self.logged(descriptors)  # (N, D)
        told = torch.stack([self._deviations(x, number) for number in range(self.count)])  # (measures, N)
        return told.amax(0) / self.get_buffer("limit")

    def _deviations(self, x: Tensor, number: int) -> Tensor:
        bank, scale = self.get_buffer(f"bank{number}"), self.get_buffer(f"scale{number}")
        z = (x - self.get_buffer(f"mean{number}")) @ self.get_buffer(f"turn{number}")  # (N, D)
        squared = (z**2).sum(1, keepdim=True) + (bank**2).sum(1)[None] - 2 * z @ bank.T  # (N, n)
        nearest = torch.topk(torch.clamp(squared, min=0), NEAREST, dim=1, largest=False).values
        return (torch.log(torch.sqrt(nearest.mean(1) + 1e-12)) - scale[0]) / scale[1]
