"""A head on frozen descriptors: a kernel machine for each pair of classes, and probabilities from all pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from sklearn.svm import SVC
from torch import Tensor, nn

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch_train.neighbours import Logged, Matrix, logged

Labels = npt.NDArray[np.int64]

PAIRS = tuple(combinations(range(len(NEU_CLASSES)), 2))
SLOPES = np.geomspace(4, 64, 25)
"""How steeply a margin may become a probability; below, pairs that do not concern an image outvote its own."""
_TINY = 1e-6


@dataclass(frozen=True)
class Head:
    """Support vectors, their weights in each of the 15 pairs, and the slope that calibrates (Platt 1999, one for all).

    A class's probability is proportional to the product of its probabilities in its five pairs (Price et al. 1995).
    """

    mean: Matrix  # (D,)
    spread: Matrix  # (D,)
    support: Matrix  # (n, D), standardised
    weights: Matrix  # (n, 15)
    offsets: Matrix  # (15,)
    gamma: float
    slope: float = 1.0

    def margins(self, descriptors: Matrix) -> Matrix:
        """(N, 15): positive where the first class of the pair is the likelier."""
        z = (logged(descriptors) - self.mean) / self.spread
        squared = (z**2).sum(1)[:, None] + (self.support**2).sum(1)[None] - 2 * z @ self.support.T  # (N, n)
        return np.asarray(np.exp(-self.gamma * squared) @ self.weights + self.offsets, dtype=np.float32)

    def probabilities(self, descriptors: Matrix) -> Matrix:
        """(N, 6), rows sum to 1."""
        return coupled(self.margins(descriptors), self.slope)

    def calibrated(self, descriptors: Matrix, labels: Labels) -> Head:
        """The same with the slope that makes these images, which it was not fitted to, most likely."""
        margins = self.margins(descriptors)
        rows = np.arange(len(labels))
        losses = [-np.log(coupled(margins, slope)[rows, labels] + 1e-9).mean() for slope in SLOPES]
        return replace(self, slope=float(SLOPES[int(np.argmin(losses))]))


def fit(descriptors: Matrix, labels: Labels, cost: float) -> Head:
    """Learn from (M, D) descriptors; `cost` is the price of a margin that is not kept (C)."""
    x = logged(descriptors)
    mean, spread = x.mean(0), x.std(0) + _TINY
    machine = SVC(C=cost, gamma="scale", cache_size=800).fit((x - mean) / spread, labels)
    support = machine.support_vectors_
    ends = np.concatenate([[0], np.cumsum(machine.n_support_)])
    weights = np.zeros((len(support), len(PAIRS)), dtype=np.float32)
    for column, (a, b) in enumerate(PAIRS):
        # libsvm keeps a vector of class a's weight against class b > a in row b - 1, one of b's against a in row a.
        weights[ends[a] : ends[a + 1], column] = machine.dual_coef_[b - 1, ends[a] : ends[a + 1]]
        weights[ends[b] : ends[b + 1], column] = machine.dual_coef_[a, ends[b] : ends[b + 1]]
    offsets = machine.intercept_.astype(np.float32)
    gamma = float(1 / (x.shape[1] * ((x - mean) / spread).var()))
    return Head(mean, spread, support.astype(np.float32), weights, offsets, gamma)


def coupled(margins: Matrix, slope: float) -> Matrix:
    """(N, 15) margins to (N, 6) probabilities."""
    first, second = -np.logaddexp(0, -slope * margins), -np.logaddexp(0, slope * margins)
    logs = np.zeros((len(margins), len(NEU_CLASSES)), dtype=np.float64)
    for column, (a, b) in enumerate(PAIRS):
        logs[:, a] += first[:, column]
        logs[:, b] += second[:, column]
    logs -= logs.max(1, keepdims=True)
    shares = np.exp(logs)
    return np.asarray(shares / shares.sum(1, keepdims=True), dtype=np.float32)


class HeadNet(nn.Module):
    """`Head.probabilities` for a graph: (N, D) descriptors to (N, 6)."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.logged = Logged(head.mean.size)
        self.gamma, self.slope = head.gamma, head.slope
        signs = np.zeros((len(PAIRS), len(NEU_CLASSES)), dtype=np.float32)
        for row, pair in enumerate(PAIRS):
            signs[row, list(pair)] = 1, -1
        arrays = {
            "mean": head.mean,
            "scale": 1 / head.spread,
            "support": head.support,
            "weights": head.weights,
            "offsets": head.offsets,
            "wins": np.maximum(signs, 0),
            "losses": np.maximum(-signs, 0),
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)))

    def forward(self, descriptors: Tensor) -> Tensor:
        get = self.get_buffer
        z = (self.logged(descriptors) - get("mean")) * get("scale")  # (N, D)
        support = get("support")
        squared = (z**2).sum(1, keepdim=True) + (support**2).sum(1)[None] - 2 * z @ support.T  # (N, n)
        margins = self.slope * (torch.exp(-self.gamma * squared) @ get("weights") + get("offsets"))  # (N, 15)
        logs = nn.functional.logsigmoid(margins) @ get("wins") + nn.functional.logsigmoid(-margins) @ get("losses")
        return torch.softmax(logs, 1)
