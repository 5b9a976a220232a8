"""The threshold that a wanted share of healthy tiles reaches, with its 95 % confidence interval.

Where there are enough tiles it is an order statistic. Its interval is Woodruff's (1952, DOI 10.2307/2280781): that of
the share, read off the scores; for shares this small with a Poisson count over the effective number of tiles (Korn and
Graubard 1998), which is the number of tiles over the design effect: how much more the count of high scores differs from
frame to frame than it would if tiles had nothing in common.

Where there are too few (rule of three: none of n healthy tiles above it says no more than a rate below 3 / n) the
tail is continued by a generalised Pareto distribution, and the interval is that of a bootstrap over frames with its
bias corrected (Efron 1981). On simulated scores it holds the truth in 85 to 95 of 100 streams, fewest where a few
hundred frames differ much from each other: an extrapolation, and told as one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from stripwatch.calibration.healthy import Floats, Healthy
from stripwatch.calibration.tail import extrapolated
from stripwatch.errors import BadInput

CONFIDENCE = 0.95
ENOUGH = 3.0
"""Expected healthy tiles above the threshold, below which no rate is vouched for (rule of three)."""
FEWEST_TILES, FEWEST_FRAMES = 300, 20
"""Below these nothing is said at all."""
_STEADY = 100
"""High scores from which the design effect is taken."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A score, the interval that holds the true one in 95 of 100 streams, and what both rest on.

    `high` is None where no tile is high enough to bound it. `tiles_needed` is how many like these it takes to vouch
    for the rate; the threshold is `measured` if there are as many.
    """

    score: float
    low: float
    high: float | None
    tiles: int
    frames: int
    effective_tiles: int
    tiles_needed: int

    @property
    def measured(self) -> bool:
        return self.tiles >= self.tiles_needed


def threshold_for(healthy: Healthy, rate: float, seed: int = 0) -> Threshold:
    """The lowest score that no more than `rate` of the healthy tiles reach; BadInput for a handful of them."""
    tiles = len(healthy)
    if tiles < FEWEST_TILES or healthy.frames < FEWEST_FRAMES:
        raise BadInput(
            f"healthy steel: expected {FEWEST_TILES} tiles of {FEWEST_FRAMES} frames or more, "
            f"got {tiles} of {healthy.frames}; a rate of {rate:g} takes {math.ceil(ENOUGH / rate):,} tiles"
        )
    effect = design_effect(healthy, rate)
    needed = math.ceil(ENOUGH * effect / rate)
    made = (tiles, healthy.frames, round(tiles / effect), needed)
    if tiles < needed:
        estimate, *others = extrapolated(healthy, rate, seed)
        low, high = corrected(float(estimate), np.array(others))
        return Threshold(float(estimate), low, high, *made)
    ordered = np.sort(healthy.scores)[::-1]
    fewest, most = counts(tiles * rate / effect)
    surely = float(ordered[min(math.ceil(most * effect), tiles) - 1])
    at_most = float(ordered[math.floor(fewest * effect) - 1]) if fewest else None
    return Threshold(float(ordered[math.floor(tiles * rate) - 1]), surely, at_most, *made)


def design_effect(healthy: Healthy, rate: float) -> float:
    """Variance of the number of high scores over what it would be with independent tiles: 1 or more."""
    rank = min(max(len(healthy) * rate, _STEADY), len(healthy) / 10)
    score = np.partition(healthy.scores, -math.ceil(rank))[-math.ceil(rank)]
    above = healthy.above(score)
    share = above.sum() / len(healthy)
    if share == 1:
        return 1.0
    expected = share * np.bincount(healthy.frame, minlength=healthy.frames)
    spread = ((above - expected) ** 2).sum() * healthy.frames / (healthy.frames - 1)
    return max(1.0, float(spread / (len(healthy) * share * (1 - share))))


def corrected(estimate: float, others: Floats) -> tuple[float, float]:
    """The bias-corrected percentile interval of bootstrap estimates."""
    normal, number = NormalDist(), len(others)
    bias = normal.inv_cdf(min(max(float((others < estimate).mean()), 1 / number), 1 - 1 / number))
    width = normal.inv_cdf((1 + CONFIDENCE) / 2)
    low, high = np.quantile(others, [normal.cdf(2 * bias - width), normal.cdf(2 * bias + width)])
    return min(float(low), estimate), max(float(high), estimate)


def counts(mean: float) -> tuple[int, int]:
    """Ranks from the top between which the quantile lies: of a Poisson count, k with P(< k) and P(>= k) at 2.5 %."""
    tail = (1 - CONFIDENCE) / 2
    number = np.arange(math.ceil(mean + 12 * math.sqrt(mean) + 12))
    logs = np.concatenate([[0.0], np.cumsum(np.log(number[1:]))])
    below = np.cumsum(np.exp(number * math.log(mean) - mean - logs))  # P(count <= k)
    return int(np.searchsorted(below, tail, side="right")), int(np.searchsorted(below, 1 - tail)) + 1
