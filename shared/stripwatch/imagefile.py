"""What an image file says of itself, read without decoding a pixel."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from stripwatch.errors import FrameUndecodable

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
BMP = b"BM"

_PNG_CHANNELS = {0: ("grey", 1), 2: ("RGB", 3), 3: ("palette", 3), 4: ("grey with alpha", 2), 6: ("RGBA", 4)}
_JPEG_CHANNELS = {1: "grey", 3: "colour", 4: "CMYK"}
_BMP_CHANNELS = {8: ("palette", 3), 24: ("colour", 3), 32: ("colour", 3)}
SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD8)))
_SOS, _EOI = 0xDA, b"\xff\xd9"
_SEGMENTS = frozenset(range(0xC0, 0xFF)) - {0xD8, 0xD9}
"""Markers that may stand before the pixels; at others a decoder goes on differently than the length says."""
_MOST_PARTS = 65_536
"""Chunks of a PNG, markers and fill bytes of a JPEG: 64 million pixels have 24,000 IDAT chunks as libpng cuts them."""
_MOST_SCANS = 64
"""A progressive JPEG of ten bytes a scan costs its decoder a pass over all pixels for each; writers make 10."""
_TAIL = 64
"""Some writers pad a JPEG with zeros after its end marker; no more than this is looked through."""


@dataclass(frozen=True, slots=True)
class FileHeader:
    """Size in px, bits a sample, and how the colours are stored."""

    width: int
    height: int
    bits: int
    colour: str
    channels: int


def read_png(data: bytes) -> FileHeader:
    """The header of a whole PNG file: every chunk is there and has its checksum."""
    if not data.startswith(PNG):
        raise FrameUndecodable(f"expected a PNG file, got one that begins with {data[:4].hex(' ') or 'nothing'}")
    header: FileHeader | None = None
    at = len(PNG)
    for _ in range(_MOST_PARTS):
        if at + 12 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(memoryview(data)[at + 4 : end - 4]) != checksum:
            raise FrameUndecodable(f"PNG: the checksum of its {kind.decode('latin-1')!r} chunk at byte {at} is wrong")
        if kind == b"acTL":
            raise FrameUndecodable("PNG: expected one picture, got an animation")
        if header is not None and kind == b"IHDR":
            raise FrameUndecodable(f"PNG: expected one IHDR chunk, got another at byte {at}")
        if header is None:
            if kind != b"IHDR" or length != 13:
                raise FrameUndecodable(f"PNG: expected an IHDR chunk first, got {kind.decode('latin-1')!r}")
            width, height, bits, colour = struct.unpack_from(">IIBB", data, at + 8)
            name, channels = _PNG_CHANNELS.get(colour, (f"colour type {colour}", 0))
            header = FileHeader(width, height, bits, name, channels)
        if kind == b"IEND":
            return header
        at = end
    else:
        raise FrameUndecodable(f"PNG: expected at most {_MOST_PARTS} chunks, got more")
    raise FrameUndecodable(f"PNG: truncated, it ends after {len(data)} bytes without its IEND chunk")


def read_jpeg(data: bytes) -> FileHeader:
    """The header of a JPEG file that has its end marker: decoders fill what is missing with grey and say nothing."""
    if not data.startswith(JPEG):
        raise FrameUndecodable(f"expected a JPEG file, got one that begins with {data[:4].hex(' ') or 'nothing'}")
    header: FileHeader | None = None
    for marker, at in segments(data):
        if data[at] != 0xFF or marker not in _SEGMENTS:
            raise FrameUndecodable(f"JPEG: expected a marker at byte {at}, got {data[at : at + 2].hex(' ')}")
        if marker in SOF and at + 10 <= len(data):
            if header is not None:
                raise FrameUndecodable(f"JPEG: expected one frame header, got another at byte {at}")
            header = frame_header(data, at)
        if marker == _SOS:
            scans = data.count(b"\xff\xda")  # pixels hold no 0xFF without a zero after it
            if scans > _MOST_SCANS:
                raise FrameUndecodable(f"JPEG: expected at most {_MOST_SCANS} scans, got {scans}")
            if header is not None and data[-_TAIL:].rstrip(b"\x00").endswith(_EOI):
                return header
            break
    raise FrameUndecodable(f"JPEG: truncated, {len(data)} bytes without its end marker")


def read_bmp(data: bytes) -> FileHeader:
    """The header of an uncompressed BMP file that has all of its rows."""
    if not data.startswith(BMP):
        raise FrameUndecodable(f"expected a BMP file, got one that begins with {data[:4].hex(' ') or 'nothing'}")
    if len(data) < 34:
        raise FrameUndecodable(f"BMP: truncated, {len(data)} bytes are less than its header")
    begin, size, width, height, _, depth, packed = struct.unpack_from("<IIiiHHI", data, 10)
    if size < 40 or width <= 0:
        raise FrameUndecodable(f"BMP: expected a header of 40 bytes or more and a width, got {size} and {width}")
    needed = begin + abs(height) * ((width * depth + 31) // 32 * 4)
    if not packed and len(data) < needed:
        raise FrameUndecodable(f"BMP: truncated, expected {needed} bytes, got {len(data)}")
    colour, channels = _BMP_CHANNELS.get(depth, (f"{depth} bits a pixel", 0))
    return FileHeader(width, abs(height), 8, colour, channels)


def segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Markers of a JPEG that have a length, and where each begins; the last may begin with no marker at all."""
    at = len(JPEG)
    for _ in range(_MOST_PARTS):
        if at + 4 > len(data):
            return
        marker = data[at + 1]
        if data[at] == 0xFF and (marker == 0xFF or marker in _WITHOUT_LENGTH):
            at += 1 if marker == 0xFF else 2
            continue
        yield marker, at
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at] != 0xFF or length < 2:
            return
        at += 2 + length
    raise FrameUndecodable(f"JPEG: expected at most {_MOST_PARTS} markers and fill bytes before its pixels, got more")


def frame_header(data: bytes, at: int) -> FileHeader:
    """Of the JPEG marker that begins there and has ten bytes or more."""
    bits, height, width, channels = struct.unpack_from(">BHHB", data, at + 4)
    return FileHeader(width, height, bits, _JPEG_CHANNELS.get(channels, f"{channels} channels"), channels)
