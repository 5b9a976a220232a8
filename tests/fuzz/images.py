"""Images: as frames for the worker, as files for the ingest, and as members of a data set."""

from __future__ import annotations

import struct
import zlib
from random import Random

import cv2
import numpy as np

from fuzz.target import Target, scratch, told
from stripwatch.datasets.decode import decode as dataset_image
from stripwatch.domain.camera import Side
from stripwatch.domain.frame import MAX_PIXELS, Encoding, FrameHeader, RunId
from stripwatch.errors import BadInput
from stripwatch.imagefile import JPEG, PNG
from stripwatch.imagesize import size_of
from stripwatch_ingest.sources import image_file
from stripwatch_preprocess.decode import decode

LARGEST = 1 << 20
"""Pixels beyond which an input is only looked at, not decoded: what is sound takes its time."""

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_RUN = RunId("line1", "s", "r")
_FOLDER = scratch()


def one(data: bytes) -> None:
    if _pixels(data) in range(LARGEST, MAX_PIXELS + 1):
        return
    _frame(data)
    _file(data)
    try:
        image = dataset_image("a.png", data)
    except BadInput as error:
        told(error)
    else:
        assert (image.dtype, image.ndim) == (np.uint8, 2)


def _size(data: bytes) -> tuple[int, int] | None:
    try:
        return size_of(data)
    except BadInput:
        return None


def _pixels(data: bytes) -> int:
    height, width = _size(data) or (0, 0)
    return height * width


def _frame(data: bytes) -> None:
    encoding = Encoding.PNG if data.startswith(PNG) else Encoding.JPEG if data.startswith(JPEG) else Encoding.RAW
    height, width = _size(data) or (1, len(data))
    try:
        header = FrameHeader(_RUN, "c", Side.TOP, 0, 0.0, 0.0, 1.0, 0, height, width, encoding)
        image = decode(header, data)
    except BadInput as error:
        told(error)
    else:
        assert image.shape == (height, width)


def _file(data: bytes) -> None:
    path = _FOLDER / "a.png"
    path.write_bytes(data)
    try:
        size = image_file.size_of(path)
        encoding, pixels = image_file.pixels_of(path)
    except BadInput as error:
        told(error)
    else:
        assert encoding is not Encoding.RAW or pixels == data or len(pixels) == size.height * size.width


def seeds() -> list[bytes]:
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    colour = np.dstack([grey, grey + 50, grey])
    alpha = np.dstack([colour, grey])
    made = [
        cv2.imencode(suffix, image, parameters)[1].tobytes()
        for suffix, image, parameters in (
            (".png", grey, []),
            (".png", colour, []),
            (".png", alpha, []),
            (".png", grey.astype(np.uint16) * 300, []),
            (".png", grey, [cv2.IMWRITE_PNG_BILEVEL, 1]),
            (".jpg", grey, []),
            (".jpg", colour, []),
            (".jpg", grey, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 1]),
            (".bmp", grey, []),
            (".bmp", colour, []),
            (".tif", grey, []),
            (".tif", grey.astype(np.uint16) * 300, []),
            (".tif", colour.astype(np.float32), []),
            (".webp", grey, []),
            (".webp", colour, [cv2.IMWRITE_WEBP_QUALITY, 101]),
            (".pgm", grey, []),
            (".pgm", grey, [cv2.IMWRITE_PXM_BINARY, 0]),
        )
    ]
    exif = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    return [*made, made[5][:2] + exif + made[5][2:], palette(), animation(), cmyk(made[6])]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes, width: int = 8, height: int = 6, bits: int = 8, colour: int = 0) -> bytes:
    """A PNG with these chunks between its header and its end."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return PNG + chunk(b"IHDR", head) + b"".join(chunks) + chunk(b"IEND", b"")


def rows(width: int, height: int) -> bytes:
    return zlib.compress(bytes(height * (width + 1)), 9)


def palette() -> bytes:
    return png(chunk(b"PLTE", bytes(range(48))), chunk(b"tRNS", b"\x80"), chunk(b"IDAT", rows(8, 6)), colour=3)


def animation(width: int = 8, height: int = 6) -> bytes:
    """An APNG of two pictures, the second of a size of its own."""
    first = struct.pack(">IIIIIHHBB", 0, 8, 6, 0, 0, 1, 10, 0, 0)
    second = struct.pack(">IIIIIHHBB", 1, width, height, 0, 0, 1, 10, 0, 0)
    return png(
        chunk(b"acTL", struct.pack(">II", 2, 0)),
        chunk(b"fcTL", first),
        chunk(b"IDAT", rows(8, 6)),
        chunk(b"fcTL", second),
        chunk(b"fdAT", struct.pack(">I", 2) + rows(8, 6)),
    )


def cmyk(jpeg: bytes) -> bytes:
    """The JPEG with a fourth channel declared."""
    at = jpeg.index(b"\xff\xc0")
    length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
    frame = bytearray(jpeg[at : at + 2 + length])
    frame[9] = 4
    frame[2:4] = (length + 3).to_bytes(2, "big")
    return jpeg[:at] + bytes(frame) + b"\x04\x11\x00" + jpeg[at + 2 + length :]


def shape(data: bytes, random: Random) -> bytes:
    """A PNG's checksums hold, mostly; else hardly any change gets past them."""
    return repaired(data) if data.startswith(PNG) and random.random() < 0.9 else data


def repaired(data: bytes) -> bytes:
    out, at = bytearray(data), len(PNG)
    while at + 12 <= len(out):
        end = at + 12 + struct.unpack_from(">I", out, at)[0]
        if end > len(out):
            break
        struct.pack_into(">I", out, end - 4, zlib.crc32(memoryview(out)[at + 4 : end - 4]))
        at = end
    return bytes(out)


TARGET = Target("images", one, seeds, shape)
