"""Labels that spread from a few crops to the images that look alike, and a linear head that learns from them.

Zhou et al. 2004, "Learning with local and global consistency": unlabelled images are used, their labels are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.covariance import ledoit_wolf_shrinkage

from stripwatch_train.study.prototypes import Labels, Matrix, Rows, unit

NEIGHBOURS, SHARPNESS, REACH = 8, 3, 0.999
"""Edges an image, the power of the cosine that weighs them, and how much of a label is passed on at each step."""


@dataclass(frozen=True)
class Graph:
    """How far the label of each of its images reaches."""

    spread: npt.NDArray[np.float64]  # (N, N): from one image to another
    reach: npt.NDArray[np.float64]  # (M, N): from image n to judged image m

    def answer(self, support: Sequence[Rows]) -> Labels:
        """(M,) index of the class of which the greatest share reaches a judged image; rows are those of the graph."""
        return self._most(self.reach, support)

    def guess(self, support: Sequence[Rows]) -> Labels:
        """(N,) the same for the images of the graph themselves; the crops keep their labels."""
        labels = self._most(self.spread, support)
        for label, rows in enumerate(support):
            labels[rows] = label
        return labels

    def _most(self, reach: npt.NDArray[np.float64], support: Sequence[Rows]) -> Labels:
        shares = [reach[:, rows].sum(1) / self.spread[:, rows].sum() for rows in support]
        return np.asarray(np.stack(shares, 1).argmax(1), dtype=np.int64)


def graph(descriptors: Matrix, judged: Matrix) -> Graph:
    """A graph over descriptors (N, D); the judged (M, D) hang on their neighbours in it and are no part of it."""
    z, x = unit(descriptors), unit(judged)
    alike = z @ z.T  # (N, N)
    np.fill_diagonal(alike, -1)
    edges = _nearest(alike)
    edges = edges + edges.T
    scale = 1 / np.sqrt(edges.sum(1))
    spread = np.linalg.inv(np.eye(len(z)) - REACH * scale[:, None] * edges * scale)  # (N, N)
    hung = _nearest(x @ z.T) * scale  # (M, N)
    return Graph(spread, hung @ spread)


class Head:
    """A linear discriminant over guessed labels: one shrunk covariance for all classes, solved anew for each guess."""

    def __init__(self, seen: Matrix, judged: Matrix) -> None:
        """Descriptors (N, D) that the guesses are of and (M, D) to judge, standardised."""
        self._seen, self._judged = seen.astype(np.float64), judged.astype(np.float64)
        self._moment = self._seen.T @ self._seen
        self._shrinkage = float(ledoit_wolf_shrinkage(seen))

    def answer(self, guess: Labels) -> Labels:
        """(M,) classes, from the guessed ones (N,)."""
        count = np.bincount(guess)
        means = np.stack([self._seen[guess == label].mean(0) for label in range(len(count))])  # (C, D)
        scatter = (self._moment - (means.T * count) @ means) / len(guess)
        covariance = (1 - self._shrinkage) * scatter
        covariance.flat[:: len(covariance) + 1] += self._shrinkage * np.trace(scatter) / len(scatter)
        weights = np.linalg.solve(covariance, means.T)  # (D, C)
        return np.asarray((self._judged @ weights - (means.T * weights).sum(0) / 2).argmax(1), dtype=np.int64)


def _nearest(alike: Matrix) -> npt.NDArray[np.float64]:
    kept = np.zeros(alike.shape)
    rows = np.arange(len(alike))[:, None]
    columns = np.argpartition(-alike, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    kept[rows, columns] = np.maximum(alike[rows, columns], 0) ** SHARPNESS
    return kept
