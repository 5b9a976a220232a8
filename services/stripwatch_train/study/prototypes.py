"""Classes from a handful of crops: the mean of their descriptors, and which mean is nearest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.covariance import LedoitWolf

Matrix = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int64]


def whitened(descriptors: Matrix, seen: Matrix, power: float) -> Matrix:
    """(N, D) standardised by `seen` (M, D), then its directions divided by their variance to `power` / 2.

    0 only standardises, 1 whitens in full. Covariance after Ledoit and Wolf (2004, doi:10.1016/S0047-259X(03)00096-4).
    """
    mean, spread = seen.mean(0), seen.std(0)
    z = (descriptors - mean) / spread
    if power == 0:
        return np.asarray(z, dtype=np.float32)
    return np.asarray(z @ root((seen - mean) / spread, power), dtype=np.float32)


def within(descriptors: Matrix, seen: Matrix, labels: Labels, power: float) -> Matrix:
    """The same by the scatter of `seen` around the means of its classes, which the labels (M,) tell."""
    mean, spread = seen.mean(0), seen.std(0)
    z = (seen - mean) / spread
    centred = z.copy()
    for label in np.unique(labels):
        centred[labels == label] -= z[labels == label].mean(0)
    return np.asarray(((descriptors - mean) / spread) @ root(centred, power), dtype=np.float32)


def root(centred: Matrix, power: float) -> Matrix:
    """(D, D): rotates to the principal directions of centred rows and divides by variance to `power` / 2."""
    covariance = LedoitWolf(assume_centered=True).fit(centred).covariance_
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * values ** (-power / 2), dtype=np.float32)


def unit(rows: Matrix) -> Matrix:
    """Each row at length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def by_angle(descriptors: Matrix, judged: Rows, support: Sequence[Rows]) -> Labels:
    """(M,) index of the class whose prototype has the greatest cosine; `support` holds the rows of each class."""
    prototypes = unit(np.stack([descriptors[rows].mean(0) for rows in support]))  # (C, D)
    return np.asarray((unit(descriptors[judged]) @ prototypes.T).argmax(1), dtype=np.int64)


def by_distance(descriptors: Matrix, judged: Rows, support: Sequence[Rows]) -> Labels:
    """(M,) index of the class whose prototype is nearest.

    A mean of k crops is itself off by a kth of the scatter, which is taken out of its squared distances: else no image
    would ever be nearer to a class of one crop than to a class of many.
    """
    prototypes = np.stack([descriptors[rows].mean(0) for rows in support])  # (C, D)
    x = descriptors[judged]
    squared = (x**2).sum(1)[:, None] - 2 * x @ prototypes.T + (prototypes**2).sum(1)  # (M, C)
    shrunk = squared / np.array([1 + 1 / len(rows) for rows in support])
    return np.asarray(shrunk.argmin(1), dtype=np.int64)
