"""How large an image file is, told without decoding a pixel."""

from __future__ import annotations

import re
import struct

from stripwatch.domain.frame import MAX_PIXELS
from stripwatch.imagefile import BMP, JPEG, PNG, SOF, frame_header, segments

Size = tuple[int, int]
"""Rows and columns."""

_TIFF = (b"II*\0", b"MM\0*")
_PGM = re.compile(rb"P[25]\s+(?:#[^\n]*\n\s*){0,64}(\d{1,9})\s+(?:#[^\n]*\n\s*){0,64}(\d{1,9})\s")
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS, _TIFF_SAMPLES, _TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT = 256, 257, 258, 277, 322, 323
_TIFF_TAGS = (_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS, _TIFF_SAMPLES, _TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT)
_MOST_TIFF_BITS = 64
"""Of a pixel: 16-bit colour is less, and is refused for being colour."""


def size_of(data: bytes) -> Size | None:
    """(height, width) of a PNG, BMP or JPEG from its first bytes, of a TIFF, WebP or PGM from the whole file.

    None if they do not say, and for what no decoder should be given: an animation, a TIFF of huge tiles or samples.
    """
    if data.startswith(PNG):
        return _png(data)
    if data.startswith(BMP):
        return _bmp(data)
    if data.startswith(JPEG):
        return _jpeg(data)
    if data.startswith(_TIFF):
        return _tiff(data)
    return _webp(data) if data.startswith(b"RIFF") else _pgm(data)


def _png(data: bytes) -> Size | None:
    if len(data) < 24:
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return height, width


def _bmp(data: bytes) -> Size | None:
    if len(data) < 26:
        return None
    size, width, height = struct.unpack_from("<Iii", data, 14)
    return (abs(height), width) if size >= 40 and width > 0 else None


def _jpeg(data: bytes) -> Size | None:
    for marker, at in segments(data):
        if marker in SOF and at + 10 <= len(data):
            header = frame_header(data, at)
            return header.height, header.width
    return None


def _pgm(data: bytes) -> Size | None:
    found = _PGM.match(data)
    if found is None:
        return None
    width, height = int(found[1]), int(found[2])
    return (height, width) if width * height <= len(data) else None


def _tiff(data: bytes) -> Size | None:
    """Of the first picture, as its directory says."""
    order = "<" if data.startswith(_TIFF[0]) else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4) if len(data) >= 8 else (len(data),)
    if at + 2 > len(data):
        return None
    (count,) = struct.unpack_from(f"{order}H", data, at)
    found: dict[int, int] = {}
    for entry in range(at + 2, min(at + 2 + 12 * count, len(data) - 11), 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", data, entry)
        if tag not in _TIFF_TAGS or tag in found:
            continue
        if kind not in (3, 4):  # libtiff takes others too: what we cannot read it must not read either
            return None
        form, width = (f"{order}H", 2) if kind == 3 else (f"{order}I", 4)
        place = entry + 8 if values * width <= 4 else struct.unpack_from(f"{order}I", data, entry + 8)[0]
        if place + width <= len(data):
            (found[tag],) = struct.unpack_from(form, data, place)
    width, height = found.get(_TIFF_WIDTH, 0), found.get(_TIFF_HEIGHT, 0)
    tile = found.get(_TIFF_TILE_WIDTH, 0) * found.get(_TIFF_TILE_HEIGHT, 0)
    bits = found.get(_TIFF_BITS, 1) * found.get(_TIFF_SAMPLES, 1)
    return (height, width) if tile <= MAX_PIXELS and bits <= _MOST_TIFF_BITS else None


def _webp(data: bytes) -> Size | None:
    if data[8:12] != b"WEBP" or len(data) < 30:
        return None
    kind = data[12:16]
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return height & 0x3FFF, width & 0x3FFF
    if kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        return (packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1
    if kind == b"VP8X" and not data[20] & 2:
        return int.from_bytes(data[27:30], "little") + 1, int.from_bytes(data[24:27], "little") + 1
    return None
