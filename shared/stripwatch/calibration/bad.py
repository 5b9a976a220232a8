"""Frames in a healthy stream that are not healthy: a few are expected, and they must not set the threshold.

The highest of many scores follows a Gumbel distribution where the scores' tail is of the exponential kind (Gumbel 1958;
Coles 2001, chapter 3). Its place and width come from the quartiles of the frames' highest scores, which a few per cent
of bad frames hardly move. A frame is set aside where even the highest of so many healthy frames would rarely score as
much: trimming a fixed share instead would take the highest healthy frames and make every threshold too low.
"""

from __future__ import annotations

import math

import numpy as np

from stripwatch.calibration.healthy import Floats, Rows

CHANCE = 0.05
"""That one healthy frame or more of a healthy stream is set aside."""
_LOW, _HIGH = 0.25, 0.75


def set_aside(tops: Floats, share: float) -> Rows:
    """Frames that stand out by their highest score, highest first, at most that share of them: rows of (F,) `tops`."""
    most = math.floor(share * len(tops))
    limit = outlying(tops, share)
    order = np.argsort(-tops, kind="stable")[:most]
    return order[tops[order] > limit]


def outlying(tops: Floats, share: float) -> float:
    """The highest score beyond which a frame is not taken for healthy."""
    low, high = np.quantile(tops, [_LOW * (1 - share / 2), _HIGH * (1 - share / 2)])
    scale = (high - low) / (_reduced(_HIGH) - _reduced(_LOW))
    return float(low + scale * (_reduced((1 - CHANCE) ** (1 / len(tops))) - _reduced(_LOW)))


def _reduced(share: float) -> float:
    """The Gumbel quantile for place 0 and width 1."""
    return -math.log(-math.log(share))
