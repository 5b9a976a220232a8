"""Deadlines: nested calls share one budget of time."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from stripwatch.errors import DeadlineExceeded


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time (monotonic seconds) by which a piece of work must be done."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    def check(self, what: str) -> float:
        """Seconds left; DeadlineExceeded if there are none."""
        left = self.left()
        if left <= 0:
            raise DeadlineExceeded(f"{what}: the time budget ran out")
        return left


log = logging.getLogger(__name__)

T = TypeVar("T")


def insist(step: Callable[[], T], away: type[Exception], again: Callable[[float], bool], limit: float = 1.0) -> T:
    """The step's answer; after `away` tried again while `again`, given the seconds to wait, waits and says True."""
    for wait in backoff(limit=limit):
        try:
            return step()
        except away as error:
            if not again(wait):
                raise
            log.info("trying again", extra={"reason": str(error)})
    raise AssertionError("backoff never ends")


def backoff(first: float = 0.05, limit: float = 2.0) -> Iterator[float]:
    """Waits in seconds for one retry after another: doubling up to `limit`, each with full jitter."""
    ceiling = first
    while True:
        yield random.uniform(first / 2, ceiling)
        ceiling = min(limit, ceiling * 2)
