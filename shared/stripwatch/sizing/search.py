"""The largest number that holds: doubled until one does not, then halved in between."""

from __future__ import annotations

from collections.abc import Callable

FINENESS = 50
"""The answer is exact up to so many; beyond it to one part in so many, as no trial is repeatable to better."""


def most(holds: Callable[[int], bool], limit: int) -> int:
    """The largest number of 1 to `limit` for which `holds`, taken for true below the answer and false above it.

    0 where not even 1 holds.
    """
    low, high = 0, 1
    while high < limit and holds(high):
        low, high = high, min(high * 2, limit)
    if high == limit and holds(limit):
        return limit
    while high - low > max(1, low // FINENESS):
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
