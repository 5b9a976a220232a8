"""How sure a figure is: bootstrap intervals of an AUROC, Wilson's interval of a share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stripwatch_train.evaluate import auroc

Scores = npt.NDArray[np.float32]


def auroc_interval(
    healthy: Scores, defective: Scores, draws: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """The percentile bootstrap interval of the AUROC (Efron 1979), images drawn with replacement on both sides."""
    rng = np.random.default_rng(seed)
    values = [
        auroc(
            healthy[rng.integers(0, len(healthy), len(healthy))],
            defective[rng.integers(0, len(defective), len(defective))],
        )
        for _ in range(draws)
    ]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927), which holds near 0 and 1 too."""
    share, spread = hits / count, z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def mean_worst(values: Sequence[float], digits: int = 5) -> dict[str, float]:
    """Mean and worst over seeds."""
    return {"mean": round(float(np.mean(values)), digits), "worst": round(float(min(values)), digits)}


def calibration_error(probabilities: Scores, labels: npt.NDArray[np.int64], bins: int = 15) -> float:
    """Expected calibration error (Guo et al. 2017, arXiv:1706.04599): confidence against accuracy in equal bins."""
    sure, right = probabilities.max(1), probabilities.argmax(1) == labels
    bin_of = np.minimum((sure * bins).astype(np.int64), bins - 1)
    gaps = [abs(float((sure - right)[bin_of == number].sum())) for number in range(bins)]
    return sum(gaps) / len(labels)
