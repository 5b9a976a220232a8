"""One image file as a grey image; whatever is damaged, coloured or of more than 8 bits is refused with the reason."""

from __future__ import annotations

import cv2
import numpy as np

from stripwatch.domain.frame import MAX_PIXELS
from stripwatch.errors import BadInput, FrameUndecodable
from stripwatch.imagefile import BMP, JPEG, PNG, FileHeader, read_bmp, read_jpeg, read_png
from stripwatch.pixels import Image, one_channel


class NotGrey(BadInput):
    """An image of colours or of another depth than 8 bits."""


def decode(name: str, data: bytes) -> Image:
    """(H, W) uint8. BadInput names the file, what was expected and what came; NotGrey if it is a sound image."""
    try:
        found = _header(data)
    except FrameUndecodable as error:
        raise BadInput(f"{name}: {error}") from error
    if found.bits != 8 or found.channels not in (1, 3):
        raise NotGrey(f"{name}: expected 8-bit grey, got {found.bits}-bit {found.colour}")
    if not 0 < found.width * found.height <= MAX_PIXELS:
        raise BadInput(f"{name}: expected 1 to {MAX_PIXELS} px, got {found.height} x {found.width}")
    # An EXIF note must not turn the image: the worker ignores it too.
    colour = cv2.IMREAD_GRAYSCALE if found.channels == 1 else cv2.IMREAD_COLOR
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), colour | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise BadInput(f"{name}: cannot be decoded: {error.err}") from error
    if image is None:
        raise BadInput(f"{name}: cannot be decoded: its data is broken")
    try:
        return one_channel(np.asarray(image, dtype=np.uint8))
    except FrameUndecodable as error:
        raise NotGrey(f"{name}: {error}") from error


def _header(data: bytes) -> FileHeader:
    if data.startswith(PNG):
        return read_png(data)
    if data.startswith(JPEG):
        return read_jpeg(data)
    if data.startswith(BMP):
        return read_bmp(data)
    raise FrameUndecodable(
        f"expected a BMP, JPEG or PNG file, got one that begins with {data[:4].hex(' ') or 'nothing'}"
    )
