"""Frames' bytes as grey images. Whatever is not exactly what the header declares is refused, before it is decoded."""

from __future__ import annotations

import cv2
import numpy as np

from stripwatch.domain.frame import Encoding, FrameHeader
from stripwatch.errors import FrameUndecodable
from stripwatch.imagefile import FileHeader, read_jpeg, read_png
from stripwatch.pixels import Image, one_channel


def decode(header: FrameHeader, pixels: bytes) -> Image:
    """The frame as (height, width) uint8; FrameUndecodable says what was expected and what came."""
    if header.encoding is Encoding.RAW:
        return _raw(header, pixels)
    found = read_png(pixels) if header.encoding is Encoding.PNG else read_jpeg(pixels)
    _check(header, found)
    return _grey(header, found, pixels)


def _raw(header: FrameHeader, pixels: bytes) -> Image:
    expected = header.height * header.width
    if len(pixels) != expected:
        raise FrameUndecodable(
            f"raw frame: expected {header.height} x {header.width} = {expected} bytes, got {len(pixels)}"
        )
    return np.frombuffer(pixels, dtype=np.uint8).reshape(header.height, header.width)


def _check(header: FrameHeader, found: FileHeader) -> None:
    name = header.encoding.value.upper()
    if (found.height, found.width) != (header.height, header.width):
        raise FrameUndecodable(
            f"{name}: expected {header.height} x {header.width} px as the header says, "
            f"got {found.height} x {found.width}"
        )
    if found.bits != 8:
        raise FrameUndecodable(f"{name}: expected 8 bits a sample, got {found.bits}")
    if found.channels not in (1, 3):
        raise FrameUndecodable(f"{name}: expected grey, got {found.colour}")


def _grey(header: FrameHeader, found: FileHeader, pixels: bytes) -> Image:
    name = header.encoding.value.upper()
    colour = cv2.IMREAD_GRAYSCALE if found.channels == 1 else cv2.IMREAD_COLOR
    # An EXIF note must not turn the image: rows run along the strip.
    flags = colour | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(pixels, dtype=np.uint8), flags)
    except cv2.error as error:
        raise FrameUndecodable(f"{name}: cannot be decoded: {error.err}") from error
    if image is None:
        raise FrameUndecodable(f"{name}: cannot be decoded: its compressed data is broken")
    if image.shape[:2] != (header.height, header.width):
        raise FrameUndecodable(
            f"{name}: expected {header.height} x {header.width} px, decoded {image.shape[0]} x {image.shape[1]}"
        )
    try:
        return one_channel(np.asarray(image, dtype=np.uint8))
    except FrameUndecodable as error:
        raise FrameUndecodable(f"{name}: {error}") from error
