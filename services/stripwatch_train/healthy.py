"""Healthy steel out of NEU: images quilted from the defect-free parts of one image, at its own scale.

Efros and Freeman's image quilting (2001): blocks from random places, joined along the path of least difference, so
that no reflection and no period appears that real steel does not have.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stripwatch.pixels import Image
from stripwatch_train.neu import SIZE

BLOCK = 64
_OVERLAP = 16
_MARGIN = 4
_SPECKS = ((3.0, 4.0), (1.0, 5.5))
"""Blur in px and the robust deviations from which on a speck is no healthy steel, marked or not."""
_WHITE, _MOST_WHITE = 250, 0.2
"""An overexposed image tells nothing about texture."""
_SLOW_PX = 24
_CANDIDATES = 12

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]


def clear_places(image: Image, defect: Mask, block: int = BLOCK) -> Places:
    """(n, 2) top left corners of the `block` x `block` windows without defect, its margin, or unmarked specks."""
    margin = np.ones((2 * _MARGIN + 1,) * 2, np.uint8)
    grown = np.asarray(cv2.dilate(defect.astype(np.uint8), margin), dtype=np.uint8)
    free = grown == 0
    if free.sum() < block * block or (image[free] >= _WHITE).mean() > _MOST_WHITE:
        return np.empty((0, 2), dtype=np.int64)
    for blur, limit in _SPECKS:
        blurred = cv2.GaussianBlur(image, (0, 0), blur).astype(np.float32)
        middle = float(np.median(blurred[free]))
        spread = 1.4826 * float(np.median(np.abs(blurred[free] - middle))) + 1.5
        grown |= (np.abs(blurred - middle) > limit * spread).astype(np.uint8)
    total = cv2.integral(grown)
    held = total[block:, block:] - total[:-block, block:] - total[block:, :-block] + total[:-block, :-block]
    return np.argwhere(held == 0)


def flattened(image: Image, defect: Mask) -> Image:
    """The image without its slow changes of brightness, as the clear parts show them: blocks then join unseen."""
    clear = (~defect).astype(np.float32)
    weight = cv2.GaussianBlur(clear, (0, 0), _SLOW_PX)
    slow = cv2.GaussianBlur(clear * image, (0, 0), _SLOW_PX) / np.maximum(weight, 1e-3)
    middle = float((image * clear).sum() / max(float(clear.sum()), 1.0))
    return np.clip(image - slow + middle, 0, 255).astype(np.uint8)


def quilt(image: Image, places: Places, rng: np.random.Generator, size: int = SIZE, block: int = BLOCK) -> Image:
    """A (size, size) texture made of windows of `image` at `places`."""
    step = block - _OVERLAP
    count = -(-(size - _OVERLAP) // step)
    canvas = np.zeros((count * step + _OVERLAP,) * 2, dtype=np.float32)
    for row in range(0, count * step, step):
        for column in range(0, count * step, step):
            target = canvas[row : row + block, column : column + block]
            target[:] = _joined(target, _fitting(image, places, target, rng, row > 0, column > 0), row > 0, column > 0)
    top, left = rng.integers(0, len(canvas) - size + 1, size=2)
    return np.asarray(canvas[top : top + size, left : left + size], dtype=np.uint8)


def _fitting(
    image: Image, places: Places, target: npt.NDArray[np.float32], rng: np.random.Generator, above: bool, beside: bool
) -> npt.NDArray[np.float32]:
    """Of a few random windows the one that differs least from what is there already."""
    block = len(target)
    best, least = np.zeros_like(target), np.inf
    for row, column in places[rng.integers(0, len(places), _CANDIDATES)]:
        window = image[row : row + block, column : column + block].astype(np.float32)
        if rng.random() < 0.5:
            window = window[:, ::-1]
        cost = 0.0
        if above:
            cost += float(((window - target)[:_OVERLAP] ** 2).mean())
        if beside:
            cost += float(((window - target)[:, :_OVERLAP] ** 2).mean())
        if cost < least:
            best, least = window, cost
        if not above and not beside:
            break
    return best


def _joined(
    old: npt.NDArray[np.float32], new: npt.NDArray[np.float32], above: bool, beside: bool
) -> npt.NDArray[np.float32]:
    keep = np.zeros(old.shape, dtype=np.float32)  # 1 where the old block stays
    difference = (old - new) ** 2
    if beside:
        keep[:, :_OVERLAP] = _cut(difference[:, :_OVERLAP])
    if above:
        keep[:_OVERLAP] = np.maximum(keep[:_OVERLAP], _cut(difference[:_OVERLAP].T).T)
    keep = np.asarray(cv2.GaussianBlur(keep, (3, 3), 0), dtype=np.float32)
    if not above:
        keep[:, _OVERLAP:] = 0
    return old * keep + new * (1 - keep)


def _cut(difference: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """1 to the left of the cheapest path from top to bottom of a (n, overlap) strip."""
    cost = difference.copy()
    for row in range(1, len(cost)):
        before = np.pad(cost[row - 1], 1, constant_values=np.inf)
        cost[row] += np.minimum(np.minimum(before[:-2], before[1:-1]), before[2:])
    keep = np.zeros_like(cost)
    column = int(cost[-1].argmin())
    for row in range(len(cost) - 1, -1, -1):
        keep[row, :column] = 1
        if row:
            low = max(column - 1, 0)
            column = low + int(cost[row - 1, low : column + 2].argmin())
    return keep
