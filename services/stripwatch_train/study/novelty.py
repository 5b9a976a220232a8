"""How unlike everything known an image is: scores of a classifier's confidence, of distance, and of both together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression

from stripwatch_train.study.prototypes import Labels, Matrix, unit

Scores = npt.NDArray[np.float64]

STRENGTH = 0.3
"""Of the logistic regression's regularisation (its C), as everywhere in the study."""
NEIGHBOUR = 5
LEAST = 1e-4
"""The quantum in which the services send probabilities: a smaller doubt is none."""


@dataclass(frozen=True)
class Known:
    """A classifier of the known kinds, and the shape of their clouds."""

    mean: Matrix
    spread: Matrix
    classifier: LogisticRegression
    centres: Scores  # (C, D), whitened by the scatter inside the classes
    inside: Scores  # (D, D)
    whole: Scores  # (D, D): whitens all classes as one cloud
    seen: Matrix  # (N, D), unit length

    @classmethod
    def fit(cls, descriptors: Matrix, labels: Labels) -> Known:
        """From descriptors (N, D) of known kinds alone."""
        mean, spread = descriptors.mean(0), descriptors.std(0)
        z = (descriptors - mean) / spread
        means = np.stack([z[labels == label].mean(0) for label in np.unique(labels)])
        centred = z - means[np.searchsorted(np.unique(labels), labels)]
        inside = _whitening(centred)
        classifier = LogisticRegression(C=STRENGTH, max_iter=500).fit(z, labels)
        return cls(mean, spread, classifier, means @ inside, inside, _whitening(z), unit(z))

    def scores(self, descriptors: Matrix) -> dict[str, Scores]:
        """(N,) of each kind, higher for the less known.

        `softmax` 1 - the greatest probability; `energy` (Liu et al. 2020, arXiv:2010.03759); `mahalanobis` to the
        nearest class mean (Lee et al. 2018, arXiv:1807.03888); `relative` less that to the mean of all (Ren et al.
        2021, arXiv:2106.09022); `neighbours` 1 - the cosine to the fifth nearest (Sun et al. 2022, arXiv:2204.06507).
        """
        z = (descriptors - self.mean) / self.spread
        logits = self.classifier.decision_function(z)  # (N, C)
        highest = logits.max(1)
        energy = highest + np.log(np.exp(logits - highest[:, None]).sum(1))
        nearest = _squared(z @ self.inside, self.centres).min(1) / z.shape[1]
        alike = np.partition(unit(z) @ self.seen.T, -NEIGHBOUR, axis=1)[:, -NEIGHBOUR]
        return {
            "softmax": 1 - np.exp(highest - energy),
            "energy": -energy,
            "mahalanobis": nearest,
            "relative": nearest - ((z @ self.whole) ** 2).mean(1),
            "neighbours": 1 - alike.astype(np.float64),
        }


@dataclass(frozen=True)
class Rule:
    """Doubt and distance, each on the scale of known images that neither classifier nor clouds had seen."""

    doubt: tuple[float, float]
    distance: tuple[float, float]

    @classmethod
    def fit(cls, unseen: dict[str, Scores]) -> Rule:
        """From the scores of known kinds."""
        return cls(_scale(_doubt(unseen)), _scale(np.log(unseen["mahalanobis"])))

    def scores(self, scores: dict[str, Scores]) -> dict[str, Scores]:
        """`both`: unknown only where doubt *and* distance are high (the recipe's rule); `sum`: one makes up for the
        other, so that the further away an image lies, the surer its class must be."""
        doubt = (_doubt(scores) - self.doubt[0]) / self.doubt[1]
        distance = (np.log(scores["mahalanobis"]) - self.distance[0]) / self.distance[1]
        return {"both": np.minimum(doubt, distance), "sum": doubt + distance}


def _doubt(scores: dict[str, Scores]) -> Scores:
    return np.asarray(np.log(np.maximum(scores["softmax"], LEAST)), dtype=np.float64)


def _scale(values: Scores) -> tuple[float, float]:
    return float(values.mean()), float(values.std())


def _whitening(centred: Matrix) -> Scores:
    values, vectors = np.linalg.eigh(LedoitWolf(assume_centered=True).fit(centred).covariance_)
    return np.asarray(vectors / np.sqrt(values), dtype=np.float64)


def _squared(x: Scores, centres: Scores) -> Scores:
    return np.asarray((x**2).sum(1)[:, None] - 2 * x @ centres.T + (centres**2).sum(1), dtype=np.float64)
