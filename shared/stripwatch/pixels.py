"""What is done to pixels before a model sees them: one place for the trainer and for the worker, so that both agree."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stripwatch.domain.model import Clahe, InputSpec
from stripwatch.errors import FrameUndecodable

Image = npt.NDArray[np.uint8]

GREY_TOLERANCE = 2
"""Grey stored as RGB: a JPEG's chroma may be off by one, which moves a channel by this much."""


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


def model_input(tiles: list[Image], spec: InputSpec) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
    """Tiles of any size as one batch of what the model takes: (N, channels, size, size) of `spec.dtype`."""
    batch = np.empty((len(tiles), spec.size, spec.size), dtype=np.uint8)
    for row, tile in zip(batch, tiles, strict=True):
        small = resize(tile, spec.size)
        row[:] = equalise(small, spec.clahe) if spec.clahe else small
    planes = batch[:, None]  # (N, 1, size, size) uint8
    if spec.channels > 1:
        planes = np.repeat(planes, spec.channels, axis=1)  # (N, channels, size, size) uint8
    if spec.dtype == "uint8":
        return planes
    mean = np.asarray(spec.mean, dtype=np.float32)[:, None, None]
    std = np.asarray(spec.std, dtype=np.float32)[:, None, None]
    return ((planes.astype(np.float32) / np.float32(255) - mean) / std).astype(np.float32)
