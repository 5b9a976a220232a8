"""One image file as a frame's pixels: its size from the header alone, its bytes unchanged where possible."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stripwatch import imagefile, imagesize
from stripwatch.domain.frame import MAX_PIXELS, Encoding
from stripwatch.domain.names import shown
from stripwatch.errors import BadInput

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".webp"})

MOST_BYTES = 4 * MAX_PIXELS
"""Of a file: the largest image with four bytes a pixel."""

_HEAD = 1 << 16


@dataclass(frozen=True, slots=True)
class ImageSize:
    """Rows and columns."""

    height: int
    width: int


def size_of(path: Path) -> ImageSize:
    """The image's size, from its header alone. BadInput, naming the file, if it cannot be had or is too large."""
    with _named(path), path.open("rb") as file:
        head = file.read(_HEAD)
        if not head.startswith((imagefile.PNG, imagefile.BMP)):
            head += file.read(MOST_BYTES)
        return _size(head)


def pixels_of(path: Path) -> tuple[Encoding, bytes]:
    """What a frame carries of the file. PNG and JPEG go as they are, also when damaged: whoever decodes them says so.

    Other formats go as raw grey; if they are not 8-bit grey, as PNG, to be refused like any such image.
    """
    with _named(path):
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise BadInput(f"expected at most {MOST_BYTES >> 20} MiB, got {size >> 20}")
        data = path.read_bytes()
        if data.startswith(imagefile.PNG):
            return Encoding.PNG, data
        if data.startswith(imagefile.JPEG):
            return Encoding.JPEG, data
        return _decoded(data, _size(data))


def _decoded(data: bytes, size: ImageSize) -> tuple[Encoding, bytes]:
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        return Encoding.RAW, data
    if image.shape[:2] != (size.height, size.width):
        raise BadInput(
            f"expected {size.height} x {size.width} px by its header, got {image.shape[0]} x {image.shape[1]}"
        )
    if image.dtype not in (np.uint8, np.uint16):  # as a PNG it would be rounded to 8 bits, and taken
        raise BadInput(f"expected 8-bit grey, got {image.dtype}")
    if image.dtype == np.uint8 and image.ndim == 2:
        return Encoding.RAW, image.tobytes()
    return Encoding.PNG, cv2.imencode(".png", image)[1].tobytes()


def _size(data: bytes) -> ImageSize:
    found = imagesize.size_of(data)
    if found is None:
        raise BadInput("no image that can be read")
    size = ImageSize(*found)
    if not 0 < size.height * size.width <= MAX_PIXELS:
        raise BadInput(f"expected at most {MAX_PIXELS} px, got {size.height} x {size.width}")
    return size


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Faults of the file, each with its name."""
    name = shown(path.name)
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from error
    except OSError as error:
        raise BadInput(f"{name}: cannot be read: {error.strerror}") from error
    except cv2.error as error:
        raise BadInput(f"{name}: cannot be decoded: {shown(str(error.err))}") from error
