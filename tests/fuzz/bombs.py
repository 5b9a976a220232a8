"""Small files that are huge once decoded: `python -m fuzz.bombs FOLDER` prints what each costs in KiB."""

from __future__ import annotations

import json
import resource
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from fuzz.images import animation, chunk, png, rows
from stripwatch.datasets.decode import decode as dataset_image
from stripwatch.domain.camera import Side
from stripwatch.domain.frame import Encoding, FrameHeader, RunId
from stripwatch.errors import BadInput
from stripwatch_ingest.sources import image_file
from stripwatch_preprocess.decode import decode

MOST_KIB = 64 << 10
_HUGE = 60_000


def hidden_header() -> bytes:
    """A JPEG whose large frame header stands where a length is that a decoder does not see."""
    small = cv2.imencode(".jpg", np.zeros((8, 8), dtype=np.uint8))[1].tobytes()
    at = small.index(b"\xff\xc0")
    frame = small[at : at + 13]
    large = frame[:5] + struct.pack(">HH", 20_000, 20_000) + frame[9:]
    rest = small[2:at] + large + small[at + 13 :]
    return small[:2] + b"\xff\x00" + struct.pack(">H", len(rest) + 2) + rest + small[2:]


def tiff(width: int, height: int, **tags: int) -> bytes:
    numbers = {"bits": 258, "samples": 277, "rows": 278, "tile_width": 322, "tile_height": 323}
    given = {256: width, 257: height, 259: 1, 262: 1, 273: 8, 279: 1} | {numbers[k]: v for k, v in tags.items()}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(given.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(given)) + entries + bytes(4)


def zeros(count: int) -> bytes:
    """So many zeros, packed; never in memory all at once, or what they cost would be ours."""
    packer, piece = zlib.compressobj(9), bytes(1 << 16)
    return b"".join(packer.compress(piece) for _ in range(count // len(piece))) + packer.flush()


def _claimed(data: bytes, at: int, form: str) -> bytes:
    return data[:at] + struct.pack(form, _HUGE, _HUGE) + data[at + struct.calcsize(form) :]


def _grey(suffix: str) -> bytes:
    return cv2.imencode(suffix, np.zeros((8, 8), dtype=np.uint8))[1].tobytes()


def _jpeg() -> bytes:
    data = _grey(".jpg")
    return _claimed(data, data.index(b"\xff\xc0") + 5, ">HH")


BOMBS: dict[str, Callable[[], bytes]] = {
    "png of huge size": lambda: png(chunk(b"IDAT", rows(8, 6)), width=_HUGE, height=_HUGE),
    "png of 256 MiB of rows": lambda: png(chunk(b"IDAT", zeros(1 << 28))),
    "png of 256 MiB of profile": lambda: png(chunk(b"iCCP", b"x\0\0" + zeros(1 << 28)), chunk(b"IDAT", rows(8, 6))),
    "png of 256 MiB of text": lambda: png(chunk(b"zTXt", b"x\0\0" + zeros(1 << 28)), chunk(b"IDAT", rows(8, 6))),
    "animated png": lambda: animation(_HUGE, _HUGE),
    "jpeg of huge size": _jpeg,
    "jpeg with a hidden header": hidden_header,
    "bmp of huge size": lambda: _claimed(_grey(".bmp"), 18, "<ii"),
    "tiff of huge size": lambda: tiff(_HUGE, _HUGE),
    "tiff of huge tiles": lambda: tiff(8, 8, bits=8, tile_width=32_768, tile_height=32_768),
    "tiff of huge samples": lambda: tiff(8_000, 8_000, bits=64, samples=4),
    "webp of huge size": lambda: b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff" * 6 + bytes(20),
    "pgm of huge size": lambda: b"P5 60000 60000 255\n",
}


def tried(data: bytes, path: Path) -> None:
    """As a frame, as a file for the ingest, and as a member of a data set; most are refused somewhere."""
    path.write_bytes(data)
    encoding = Encoding.PNG if data.startswith(b"\x89PNG") else Encoding.JPEG
    header = FrameHeader(RunId("line1", "s", "r"), "c", Side.TOP, 0, 0.0, 0.0, 1.0, 0, 8, 8, encoding)
    for step in (
        lambda: decode(header, data),
        lambda: image_file.size_of(path),
        lambda: image_file.pixels_of(path),
        lambda: dataset_image("a", data),
    ):
        try:
            step()
        except BadInput:
            continue


def main() -> None:
    folder = Path(sys.argv[1])
    made = {name: make() for name, make in BOMBS.items()}
    tried(_grey(".png"), folder / "a.png")  # what every library takes for itself at its first use
    tried(_grey(".tif"), folder / "a.tif")
    costs, before = {}, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, data in made.items():
        tried(data, folder / "a.png")
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        costs[name], before = after - before, after
    sys.stdout.write(json.dumps(costs))


if __name__ == "__main__":
    main()
