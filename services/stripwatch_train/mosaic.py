"""Tiles composed of part of a NEU image and part healthy steel: what a tile sees where a defect crosses its border."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.pixels import Image
from stripwatch_train.neu import MASKED, SIZE

_LEAST_SHARE = 0.22
"""Of an image's area, below which a texture defect (crazing, pits, scale) is not asked for."""
_LEAST_DEFECT = 0.2
_LEAST_PX = 700
_FAINT_PX = 60
_GREY_LIMITS = (25.0, 225.0)

Mask = npt.NDArray[np.bool_]


def offset(rng: np.random.Generator, least: float = 0.25) -> tuple[int, int]:
    """Where the image's corner lies in the tile, -200 to 200 px each way, so that at least `least` of it is seen."""
    while True:
        row, column = (int(at) for at in rng.integers(-SIZE + 1, SIZE, size=2))
        if (SIZE - abs(row)) * (SIZE - abs(column)) >= least * SIZE * SIZE:
            return row, column


def laid(image: Image, ground: Image, row: int, column: int, feather: int, matched: bool) -> Image:
    """`image` over `ground` with its corner at (row, column): a sharp border, or one of `feather` px."""
    base = ground.astype(np.float32)
    if matched:  # the light of the image: the border alone must not give the defect away
        base += np.clip(float(np.median(image)), *_GREY_LIMITS) - float(np.median(base))
    rows, columns = _ramp(row, feather), _ramp(column, feather)
    top, left = max(row, 0), max(column, 0)
    part = image[max(-row, 0) : SIZE - row, max(-column, 0) : SIZE - column]
    place = (slice(top, top + part.shape[0]), slice(left, left + part.shape[1]))
    cover = (rows[:, None] * columns[None, :])[place]
    base[place] += (part - base[place]) * cover
    return np.asarray(np.clip(np.rint(base), 0, 255), dtype=np.uint8)


def _ramp(start: int, feather: int) -> npt.NDArray[np.float32]:
    """How much of the image there is at each of the tile's 200 px: 0 outside, 1 from `feather` px inside on."""
    at = np.arange(SIZE)
    inside = np.minimum(at - start + 1, start + SIZE - at)
    return np.clip(inside / max(feather, 1), 0, 1).astype(np.float32)


def seen(mask: Mask, row: int, column: int) -> Mask:
    """The part of an image's mask that the tile sees."""
    return mask[max(0, -row) : SIZE - row, max(0, -column) : SIZE - column]


def visible_label(label: int, defect: Mask, row: int, column: int) -> int | None:
    """The class a tile should get: an index into NEU_CLASSES, -1 for healthy, None where it is not clear."""
    part = seen(defect, row, column)
    marked, whole = int(part.sum()), int(defect.sum())
    enough = marked >= min(_LEAST_DEFECT * whole + _FAINT_PX, _LEAST_PX)
    if NEU_CLASSES[label] in MASKED:
        if enough:
            return label
        return -1 if marked == 0 else None
    large = part.size >= _LEAST_SHARE * SIZE * SIZE
    return label if large and marked >= _LEAST_DEFECT * min(whole, part.size) else None
