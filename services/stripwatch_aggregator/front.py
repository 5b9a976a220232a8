"""A sweep along the strip: how far boxes already passed still reach, at each place across it."""

from __future__ import annotations

import math
from bisect import bisect_left


class Front:
    """For each y the box that reaches furthest, kept as intervals; all in whole units.

    Of two boxes over the same y only the one that reaches further matters to what comes later in the sweep: the
    other was either merged with it or is out of reach for good. So a sweep costs little more than its sorting.
    """

    def __init__(self) -> None:
        self._starts: list[float] = [-math.inf]
        self._values: list[tuple[float, int]] = [(-math.inf, -1)]

    def reached(self, y0: int, y1: int, at: int) -> set[int]:
        """The owners over [y0, y1) that reach `at`."""
        first = bisect_left(self._starts, y0 + 1) - 1
        last = bisect_left(self._starts, y1)
        return {owner for reach, owner in self._values[first:last] if reach >= at}

    def lay(self, y0: int, y1: int, reach: int, owner: int) -> None:
        """Lays a box over [y0, y1) that reaches `reach`."""
        first, last = self._split(y0), self._split(y1)
        starts: list[float] = []
        values: list[tuple[float, int]] = []
        for start, old in zip(self._starts[first:last], self._values[first:last], strict=True):
            value = old if old[0] > reach else (reach, owner)
            if not values or values[-1] != value:
                starts.append(start)
                values.append(value)
        self._starts[first:last] = starts
        self._values[first:last] = values

    def _split(self, y: int) -> int:
        """The place of the interval that starts at y, cut off there if need be."""
        place = bisect_left(self._starts, y)
        if place == len(self._starts) or self._starts[place] != y:
            self._starts.insert(place, y)
            self._values.insert(place, self._values[place - 1])
        return place
