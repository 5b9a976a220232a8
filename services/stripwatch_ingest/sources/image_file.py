"""One image file as a frame's pixels: its size from the header alone, its bytes unchanged where possible."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stripwatch.domain.frame import MAX_PIXELS, Encoding
from stripwatch.errors import BadInput

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".webp"})

_HEAD = 1 << 16
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


@dataclass(frozen=True, slots=True)
class ImageSize:
    """Rows and columns."""

    height: int
    width: int


def size_of(path: Path) -> ImageSize:
    """The image's size, decoding only what has no header we know. BadInput, naming the file, if it cannot be had."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            size = _from_header(head)
            if size is None and head.startswith(_JPEG):
                size = _jpeg_size(head + file.read())
    except OSError as error:
        raise BadInput(f"{path.name}: cannot be read: {error.strerror}") from error
    if size is None and not head.startswith((_PNG, _JPEG, b"BM")):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        size = ImageSize(*image.shape[:2]) if image is not None else None
    if size is None:
        raise BadInput(f"{path.name}: no image that can be read")
    if not 0 < size.height * size.width <= MAX_PIXELS:
        raise BadInput(f"{path.name}: expected at most {MAX_PIXELS} px, got {size.height} x {size.width}")
    return size


def pixels_of(path: Path) -> tuple[Encoding, bytes]:
    """What a frame carries of the file. PNG and JPEG go as they are, also when damaged: whoever decodes them says so.

    Other formats go as raw grey; if they are not 8-bit grey, as PNG, to be refused like any such image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path.name}: cannot be read: {error.strerror}") from error
    if data.startswith(_PNG):
        return Encoding.PNG, data
    if data.startswith(_JPEG):
        return Encoding.JPEG, data
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None:
        return Encoding.RAW, data
    if image.dtype == np.uint8 and image.ndim == 2:
        return Encoding.RAW, image.tobytes()
    return Encoding.PNG, cv2.imencode(".png", image)[1].tobytes()


def _from_header(head: bytes) -> ImageSize | None:
    if head.startswith(_PNG) and len(head) >= 24:
        width, height = struct.unpack_from(">II", head, 16)
        return ImageSize(height, width)
    if head.startswith(b"BM") and len(head) >= 26:
        width, height = struct.unpack_from("<ii", head, 18)
        return ImageSize(abs(height), abs(width))
    return _jpeg_size(head) if head.startswith(_JPEG) else None


def _jpeg_size(data: bytes) -> ImageSize | None:
    """Walks the segments up to the one that names the size."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _SOF:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return ImageSize(height, width)
        if marker == 0xFF:
            at += 1
        elif marker in _NO_LENGTH:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
