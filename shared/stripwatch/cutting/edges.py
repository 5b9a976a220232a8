"""Where the strip is in a frame: its edges, head and tail against the dark background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stripwatch.pixels import Image

SHARE = 8
"""A row or column is strip from one bright pixel in SHARE on. Dark defects have more: of the NEU images' outermost
rows and columns all but 7 in 1,800 images keep above it, where a limit on the mean (24) cuts into 23; background
noise of twice the usual spread stays below it."""
RUN = 8
"""Strip goes on: half of RUN neighbouring rows or columns must be bright where it begins."""

Counts = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Part:
    """The rows `top` to `bottom` - 1 and columns `left` to `right` - 1 of a frame."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left


def find_strip(image: Image, background: int) -> Part | None:
    """The strip's part of a (H, W) image; None if nothing in it is brighter than `background`.

    Looks from outside inwards only, so what is dark inside the strip never divides it. All sums are whole numbers.
    """
    _, bright = cv2.threshold(image, background, 1, cv2.THRESH_BINARY)  # (H, W) uint8 of 0 and 1
    rows = _along(bright, 1)  # (H,) int32
    across = _extent(rows, int(rows.max()))
    if across is None or rows.max() < min(RUN, image.shape[1]):
        return None
    columns = _extent(_along(bright[across[0] : across[1]], 0), across[1] - across[0])
    if columns is None:
        return None
    # Once more over the strip's own columns: a frame of a narrow strip is mostly background.
    along = _extent(_along(bright[:, columns[0] : columns[1]], 1), columns[1] - columns[0])
    return Part(*along, *columns) if along else None


def _along(bright: npt.NDArray[Any], axis: int) -> Counts:
    """Bright pixels of each column (axis 0) or row (axis 1)."""
    return np.asarray(cv2.reduce(bright, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S), dtype=np.int32).ravel()


def _extent(counts: Counts, full: int) -> tuple[int, int] | None:
    """First and one past the last row or column that is strip and goes on as strip."""
    bright = counts * SHARE > full
    first, last = _begin(bright), _begin(bright[::-1])
    if first is None or last is None:
        return None
    end = len(bright) - last
    return (first, end) if end > first else None


def _begin(bright: npt.NDArray[np.bool_]) -> int | None:
    run = min(RUN, len(bright))
    for start in np.flatnonzero(bright):  # mostly the first
        if 2 * np.count_nonzero(bright[start : start + run]) >= run:
            return int(start)
    return None
