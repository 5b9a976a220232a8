"""One image file as a frame's pixels: its size from the header alone, its bytes unchanged where possible."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stripwatch import imagefile
from stripwatch.domain.frame import MAX_PIXELS, Encoding
from stripwatch.errors import BadInput

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".webp"})

_HEAD = 1 << 16


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
            found = imagefile.size_of(head)
            if found is None and head.startswith(imagefile.JPEG):
                found = imagefile.size_of(head + file.read())
    except OSError as error:
        raise BadInput(f"{path.name}: cannot be read: {error.strerror}") from error
    if found is None and not head.startswith((imagefile.PNG, imagefile.JPEG, imagefile.BMP)):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        found = (image.shape[0], image.shape[1]) if image is not None else None
    if found is None:
        raise BadInput(f"{path.name}: no image that can be read")
    size = ImageSize(*found)
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
    if data.startswith(imagefile.PNG):
        return Encoding.PNG, data
    if data.startswith(imagefile.JPEG):
        return Encoding.JPEG, data
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None:
        return Encoding.RAW, data
    if image.dtype == np.uint8 and image.ndim == 2:
        return Encoding.RAW, image.tobytes()
    return Encoding.PNG, cv2.imencode(".png", image)[1].tobytes()
