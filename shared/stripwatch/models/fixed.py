"""Graphs compiled for one number of rows, a tenth faster than one that takes any: for the numbers that recur."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

OFTEN = 100
"""Runs of one size, after which it has a graph of its own."""
MOST = 3
"""Sizes with a graph of their own: each holds its buffers for every engine."""

R = TypeVar("R")


class FixedSizes(Generic[R]):
    """For each size that recurs what its graph is run by, one for each engine; made aside and never waited for.

    `make` compiles the graph for a number of rows. Scores are the same to 1e-7, as with any other number of rows.
    """

    def __init__(self, model: str, make: Callable[[int], Sequence[R]]) -> None:
        self._model, self._make = model, make
        self._seen: Counter[int] = Counter()
        self._made: dict[int, Sequence[R]] = {}
        self._lock = threading.Lock()

    def of(self, rows: int, engine: int) -> R | None:
        """What runs so many rows on that engine; None as long as there is none."""
        made = self._made.get(rows)
        if made is not None:
            return made[engine] if made else None
        self._seen[rows] += 1
        if self._seen[rows] >= OFTEN:
            self._begin(rows)
        return None

    def _begin(self, rows: int) -> None:
        with self._lock:
            if rows in self._made or len(self._made) >= MOST:
                return
            self._made[rows] = ()
        # No daemon: a process that ends while OpenVINO compiles in one is aborted.
        threading.Thread(target=self._compile, args=(rows,), name=f"{self._model} x {rows}").start()

    def _compile(self, rows: int) -> None:
        try:
            self._made[rows] = self._make(rows)
        except Exception:  # the graph that takes any number goes on
            log.exception("model %s: no graph for %d rows", self._model, rows)
