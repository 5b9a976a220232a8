"""What is done to pixels before a model sees them: one place for the trainer and for the worker, so that both agree."""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import cv2
import numpy as np
import numpy.typing as npt

from stripwatch.domain.model import Clahe, InputSpec
from stripwatch.errors import FrameUndecodable

Image = npt.NDArray[np.uint8]

GREY_TOLERANCE = 2
"""Grey stored as RGB: a JPEG's chroma may be off by one, which moves a channel by this much."""


_BLOCK, _LONGEST = 10, 40
"""Pixels in one block of `averaged`: so many at least where it can be, and at most."""


def one_channel(image: Image) -> Image:
    """(H, W) of (H, W), or of (H, W, 3) whose channels agree; FrameUndecodable if it is of colours."""
    if image.ndim == 2:
        return image
    blue, green, red = cv2.split(image)
    apart = round(max(cv2.norm(green, blue, cv2.NORM_INF), cv2.norm(green, red, cv2.NORM_INF)))
    if apart > GREY_TOLERANCE:
        raise FrameUndecodable(f"expected grey, got colour: channels differ by up to {apart} grey levels")
    return np.asarray(green, dtype=np.uint8)


def resize(tile: Image, size: int) -> Image:
    """A (H, W) tile at (size, size): area averaging where it shrinks (antialiased), bilinear where it grows."""
    height, width = tile.shape
    if height == size and width == size:
        return tile
    shrinks = size < max(height, width)
    resized = cv2.resize(tile, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def equalise(tile: Image, clahe: Clahe) -> Image:
    """CLAHE on a (H, W) tile, `clahe.grid` x `clahe.grid` fields."""
    operator = cv2.createCLAHE(clipLimit=clahe.clip_limit, tileGridSize=(clahe.grid, clahe.grid))
    return np.asarray(operator.apply(tile), dtype=np.uint8)


def averaged(tiles: list[Image], size: int) -> Image:
    """Square tiles of one side at (N, size, size): what `resize` gives of each, to the grey level, thrice as fast."""
    side = tiles[0].shape[0]
    whole = np.empty((len(tiles), side, side), dtype=np.float32)
    for plane, tile in zip(whole, tiles, strict=True):
        plane[:] = tile
    return _shrunk(whole, _weights(side, size))


def shrunk(image: Image, taken: int, made: int) -> Image:
    """A (H, W) image by area averaging with `made` pixels for each `taken`, each side to the nearest whole pixel.

    Sides that `taken` divides are done several times faster.
    """
    height, width = image.shape
    if height % taken or width % taken:
        size = max(1, round(width * made / taken)), max(1, round(height * made / taken))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    small: Image = _shrunk(image[None].astype(np.float32), _weights(taken, made))[0]
    return small


def _shrunk(whole: npt.NDArray[np.float32], weights: npt.NDArray[np.float32]) -> Image:
    """(N, H, W) by area averaging along both sides.

    It repeats itself: 25 pixels make 8 in the same way all along a side. So it is a small matrix, applied to blocks of
    rows and then to blocks of columns.
    """
    made, taken = weights.shape
    count, height, width = whole.shape
    low: npt.NDArray[np.float32] = np.matmul(weights, whole.reshape(-1, taken, width))  # (N * H / taken, made, W)
    small: npt.NDArray[np.float32] = low.reshape(-1, taken) @ weights.T  # (N * H * W * made / taken ** 2, made)
    grey: Image = np.rint(small, out=small).astype(np.uint8)
    return grey.reshape(count, height * made // taken, width * made // taken)


@lru_cache(maxsize=64)
def _weights(side: int, size: int) -> npt.NDArray[np.float32]:
    """(made, taken): how much of each of `taken` neighbours goes into each of the `made` pixels in their place."""
    period = gcd(side, size)
    taken, made = side // period, size // period
    while taken < _BLOCK and period % 2 == 0:  # smaller blocks are all overhead
        period, taken, made = period // 2, taken * 2, made * 2
    scale = taken / made
    starts = np.arange(made)[:, None] * scale
    pixels = np.arange(taken)[None, :]
    shares = np.minimum(starts + scale, pixels + 1) - np.maximum(starts, pixels)
    weights: npt.NDArray[np.float32] = (np.maximum(shares, 0.0) / scale).astype(np.float32)
    return weights


def _repeats(tiles: list[Image], size: int) -> bool:
    """Whether `averaged` takes them: they shrink, by no whole number (which OpenCV is fast at), in a short period."""
    side = tiles[0].shape[0]
    same = all(tile.shape == (side, side) for tile in tiles)
    return same and size < side and side % size != 0 and side // gcd(side, size) <= _LONGEST


def _resized(tiles: list[Image], size: int) -> Image:
    if _repeats(tiles, size):
        return averaged(tiles, size)
    return np.stack([resize(tile, size) for tile in tiles])


def model_input(tiles: list[Image], spec: InputSpec) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
    """Tiles of any size as one batch of what the model takes: (N, channels, size, size) of `spec.dtype`."""
    batch = _resized(tiles, spec.size)
    if spec.clahe:
        batch = np.stack([equalise(tile, spec.clahe) for tile in batch])
    planes = batch[:, None]  # (N, 1, size, size) uint8
    if spec.channels > 1:
        planes = np.repeat(planes, spec.channels, axis=1)  # (N, channels, size, size) uint8
    if spec.dtype == "uint8":
        return planes
    mean = np.asarray(spec.mean, dtype=np.float32)[:, None, None]
    std = np.asarray(spec.std, dtype=np.float32)[:, None, None]
    return ((planes.astype(np.float32) / np.float32(255) - mean) / std).astype(np.float32)
