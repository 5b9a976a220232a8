"""The tail of healthy scores beyond what was seen: a generalised Pareto distribution (Coles 2001, chapter 4).

Fitted to what exceeds a high score by probability-weighted moments (Hosking and Wallis 1987,
DOI 10.1080/00401706.1987.10488243), which need no search and hold for few values. Where the tail begins is a
compromise: on simulated scores (normal, lognormal, exponential; alike within frames) the highest 200 leave little bias
at a rate of 1e-4, where the customary tenth puts the threshold 2 % too low.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stripwatch.calibration.healthy import Floats, Healthy

TILES = 200
"""The highest scores, which make the tail; never more than SHARE of all."""
SHARE = 0.1
_RARER = 3
"""How much more tiles than the wanted rate there are in the tail, at least."""
RESAMPLES = 1000
_STRAIGHT = 1e-6


def extrapolated(healthy: Healthy, rate: float, seed: int) -> Floats:
    """The score that a share `rate` of healthy tiles reaches: (1 + RESAMPLES,), the estimate first.

    The others are estimates from as many frames drawn with replacement.
    """
    share = min(max(TILES / len(healthy), _RARER * rate), SHARE)
    start = float(np.quantile(healthy.scores, 1 - share))
    rows = np.flatnonzero(healthy.scores > start)
    if not len(rows):  # so many have one and the same score
        return np.full(1 + RESAMPLES, start)
    rows = rows[np.argsort(healthy.scores[rows])]
    draws = np.random.default_rng(seed).multinomial(
        healthy.frames, np.full(healthy.frames, 1 / healthy.frames), RESAMPLES
    )
    times = np.vstack([np.ones(healthy.frames, dtype=np.int64), draws])  # (1 + RESAMPLES, F)
    weights = times[:, healthy.frame[rows]]  # (1 + RESAMPLES, n)
    tiles = times @ np.bincount(healthy.frame, minlength=healthy.frames)
    shape, scale = fit(healthy.scores[rows] - start, weights)
    rarer = np.log(rate * tiles / np.maximum(weights.sum(axis=1), 1))
    bent = np.where(np.abs(shape) < _STRAIGHT, _STRAIGHT, shape)
    return np.asarray(start + scale * np.expm1(-bent * rarer) / bent)


def fit(over: Floats, weights: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Shapes and scales, (R,) each, of sorted exceedances (n,) that are there `weights` (R, n) times.

    Shape 0 is the exponential; below 0 the tail ends.
    """
    number = np.maximum(weights.sum(axis=1), 1)
    middle = weights.cumsum(axis=1) - (weights - 1) / 2  # each one's mean rank among its like
    mean = weights @ over / number
    weighted = (weights * (1 - (middle - 0.35) / number[:, None])) @ over / number
    apart = np.maximum(mean - 2 * weighted, np.finfo(float).tiny)
    return 2 - mean / apart, 2 * mean * weighted / apart
