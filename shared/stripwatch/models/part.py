"""Rows of a request that go through an engine together, alone or with those of other requests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stripwatch.errors import StripwatchError
from stripwatch.models.job import Job
from stripwatch.ports import Descriptors, Outputs, Tiles


@dataclass(frozen=True, slots=True)
class Part:
    """Rows `start` to `stop` of a job, on their way through an engine."""

    job: Job
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def rows(self) -> Tiles | Descriptors:
        return self.job.rows[self.start : self.stop]


def even(rows: int, most: int) -> int:
    """How many rows to take so that they go in the fewest runs of at most `most`, all as large as each other.

    An engine that compiles for each size pays half a millisecond wherever the size changes.
    """
    runs = -(-rows // most)
    return -(-rows // runs)


def joined(parts: list[Part]) -> Tiles | Descriptors:
    """(sum of rows, ...); a part that is alone is passed as it lies in the request."""
    if len(parts) == 1:
        return parts[0].rows
    rows: Tiles | Descriptors = np.concatenate([part.rows for part in parts])
    return rows


def answer(parts: list[Part], outputs: Outputs) -> None:
    """Gives each part what is its own of the outputs, (sum of rows, ...)."""
    at = 0
    for part in parts:
        part.job.done(part.start, tuple(output[at : at + len(part)] for output in outputs))
        at += len(part)


def fail(parts: list[Part], error: StripwatchError) -> None:
    for part in parts:
        part.job.fail(error)
