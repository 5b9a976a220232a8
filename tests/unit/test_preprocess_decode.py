"""Frames' bytes: what is taken, and what is refused with what was expected and what came."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess_cases import encoded, header_of
from stripwatch.domain.frame import Encoding
from stripwatch.errors import FrameUndecodable
from stripwatch.imagefile import PNG
from stripwatch_preprocess.decode import decode

RNG = np.random.default_rng(3)
GREY = cv2.GaussianBlur(RNG.integers(0, 256, (60, 90), dtype=np.uint8), (0, 0), 3)
FILES = [Encoding.PNG, Encoding.JPEG]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, data: bytes) -> bytes:
    ihdr = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return PNG + chunk(b"IHDR", ihdr) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("encoding", [Encoding.RAW, Encoding.PNG])
def test_a_lossless_frame_comes_out_as_it_went_in(encoding: Encoding) -> None:
    assert np.array_equal(decode(header_of(GREY, encoding=encoding), encoded(GREY, encoding)), GREY)


def test_a_jpeg_frame_comes_out_close_to_what_went_in() -> None:
    image = decode(header_of(GREY, encoding=Encoding.JPEG), encoded(GREY, Encoding.JPEG))
    assert image.shape == GREY.shape
    assert np.abs(image.astype(int) - GREY).max() < 20


@pytest.mark.parametrize("encoding", FILES)
def test_grey_stored_as_rgb_is_taken(encoding: Encoding) -> None:
    stored = encoded(cv2.merge([GREY] * 3), encoding)
    image = decode(header_of(GREY, encoding=encoding), stored)
    assert image.shape == GREY.shape
    assert np.abs(image.astype(int) - GREY).max() < 20


@pytest.mark.parametrize("encoding", FILES)
def test_a_colour_image_is_refused(encoding: Encoding) -> None:
    stored = encoded(cv2.merge([GREY, GREY // 2, 255 - GREY]), encoding)
    with pytest.raises(FrameUndecodable, match="expected grey, got colour"):
        decode(header_of(GREY, encoding=encoding), stored)


def test_a_16_bit_image_is_refused() -> None:
    stored = encoded(GREY.astype(np.uint16) * 257, Encoding.PNG)
    with pytest.raises(FrameUndecodable, match="expected 8 bits a sample, got 16"):
        decode(header_of(GREY, encoding=Encoding.PNG), stored)


def test_an_image_with_alpha_is_refused() -> None:
    stored = encoded(cv2.merge([GREY] * 4), Encoding.PNG)
    with pytest.raises(FrameUndecodable, match="expected grey, got RGBA"):
        decode(header_of(GREY, encoding=Encoding.PNG), stored)


@pytest.mark.parametrize("encoding", FILES)
def test_an_image_of_another_size_than_the_header_says_is_refused(encoding: Encoding) -> None:
    header = replace(header_of(GREY, encoding=encoding), height=61)
    with pytest.raises(FrameUndecodable, match="expected 61 x 90 px as the header says, got 60 x 90"):
        decode(header, encoded(GREY, encoding))


@pytest.mark.parametrize("extra", [-1, 1])
def test_a_raw_frame_of_another_length_is_refused(extra: int) -> None:
    pixels = (GREY.tobytes() + b"x")[: GREY.size + extra]
    with pytest.raises(FrameUndecodable, match=f"expected 60 x 90 = 5400 bytes, got {5400 + extra}"):
        decode(header_of(GREY), pixels)


@pytest.mark.parametrize("encoding", FILES)
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.9, 0.999])
def test_a_truncated_image_is_refused(encoding: Encoding, share: float) -> None:
    whole = encoded(GREY, encoding)
    with pytest.raises(FrameUndecodable, match=r"truncated|begins with nothing"):
        decode(header_of(GREY, encoding=encoding), whole[: int(len(whole) * share)])


def test_a_truncated_jpeg_with_a_whole_thumbnail_inside_is_refused() -> None:
    whole = encoded(GREY, Encoding.JPEG)
    note = b"Exif\x00\x00" + encoded(GREY[:8, :8].copy(), Encoding.JPEG)
    data = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note + whole[2:]
    assert decode(header_of(GREY, encoding=Encoding.JPEG), data).shape == GREY.shape
    with pytest.raises(FrameUndecodable, match="truncated"):
        decode(header_of(GREY, encoding=Encoding.JPEG), data[:-100])


def test_a_png_with_too_few_pixels_inside_is_refused() -> None:
    stored = png(90, 60, 8, 0, b"\x00" * 91 * 30)
    with pytest.raises(FrameUndecodable):
        decode(header_of(GREY, encoding=Encoding.PNG), stored)


def test_a_png_with_a_flipped_bit_is_refused() -> None:
    stored = bytearray(encoded(GREY, Encoding.PNG))
    stored[len(stored) // 2] ^= 1
    with pytest.raises(FrameUndecodable, match="checksum"):
        decode(header_of(GREY, encoding=Encoding.PNG), bytes(stored))


def test_a_huge_png_is_refused_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("was decoded"))
    bomb = png(60_000, 60_000, 8, 0, b"\x00" * 1000)
    with pytest.raises(FrameUndecodable, match="got 60000 x 60000"):
        decode(header_of(GREY, encoding=Encoding.PNG), bomb)


def test_a_file_of_the_other_encoding_is_refused() -> None:
    with pytest.raises(FrameUndecodable, match="expected a PNG file, got one that begins with ff d8"):
        decode(header_of(GREY, encoding=Encoding.PNG), encoded(GREY, Encoding.JPEG))


def test_an_exif_note_does_not_turn_the_image() -> None:
    whole = encoded(GREY, Encoding.JPEG)
    tiff = b"II*\x00\x08\x00\x00\x00\x01\x00" + struct.pack("<HHIHHI", 0x0112, 3, 1, 6, 0, 0)
    note = b"Exif\x00\x00" + tiff
    data = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note + whole[2:]
    plain = decode(header_of(GREY, encoding=Encoding.JPEG), whole)
    assert np.array_equal(decode(header_of(GREY, encoding=Encoding.JPEG), data), plain)


@given(data=st.binary(max_size=200), encoding=st.sampled_from(FILES), start=st.booleans())
def test_noise_is_refused_and_nothing_else_happens(data: bytes, encoding: Encoding, start: bool) -> None:
    stored = (PNG if encoding is Encoding.PNG else b"\xff\xd8\xff") + data if start else data
    with pytest.raises(FrameUndecodable):
        decode(header_of(GREY, encoding=encoding), stored)
