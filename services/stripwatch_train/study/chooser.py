"""Which of many candidate boxes to believe: their overlap with a true box, foretold from their traits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stripwatch_train.study.box_match import overlaps
from stripwatch_train.study.box_truth import Boxes
from stripwatch_train.study.outline import Traits

Expected = npt.NDArray[np.float64]

_PENALTY = 0.03
_APART = 0.15
"""Two boxes that overlap by more tell of the same defect; NEU-DET's own seldom do."""


@dataclass(frozen=True, slots=True)
class Chooser:
    """A ridge regression on the traits, their squares and products: 91 numbers for a class."""

    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]

    @classmethod
    def fit(cls, traits: Traits, best: Expected) -> Chooser:
        """(K, 12) traits of candidates and (K,) their overlap with the true box that they fit best."""
        mean, scale = traits.mean(0), traits.std(0) + 1e-6
        terms = _terms((traits - mean) / scale)
        penalty = _PENALTY * len(terms) * np.eye(terms.shape[1])
        penalty[0, 0] = 0
        weights = np.linalg.solve(terms.T @ terms + penalty, terms.T @ best)
        return cls(mean, scale, np.asarray(weights, dtype=np.float64))

    def expected(self, traits: Traits) -> Expected:
        """(K, 12) to (K,): the overlap that such a candidate has on average."""
        return np.asarray(_terms((traits - self.mean) / self.scale) @ self.weights, dtype=np.float64)


def chosen(boxes: Boxes, expected: Expected, least: float) -> Boxes:
    """The most promising first, none below `least`, none over one already taken."""
    order = [at for at in np.argsort(-expected, kind="stable") if expected[at] >= least]
    between = overlaps(boxes, boxes)
    taken: list[int] = []
    for at in order:
        if not (between[at, taken] > _APART).any():
            taken.append(int(at))
    return boxes[taken]


def _terms(z: Traits) -> Traits:
    """(K, 12) to (K, 91): one, each trait, each product of two."""
    row, column = np.triu_indices(z.shape[1])
    return np.concatenate([np.ones((len(z), 1)), z, z[:, row] * z[:, column]], 1)
