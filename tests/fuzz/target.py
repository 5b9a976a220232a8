"""One thing that takes bytes from outside, and how inputs for it are made."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from stripwatch.errors import BadInput

Shape = Callable[[bytes, Random], bytes]

_ODD = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\r\n\x1b[", b"{}\0/")

LARGEST_INPUT = 1 << 16
LONGEST_TEXT = 20_000


def as_it_is(data: bytes, _random: Random) -> bytes:
    return data


@dataclass(frozen=True, slots=True)
class Target:
    """`one` returns for every input, or raises what must never come out.

    `seeds` are sound inputs; `shape` makes of a changed input one that gets further in: a checksum that holds, a field
    with another value.
    """

    name: str
    one: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    shape: Shape = as_it_is
    largest: int = LARGEST_INPUT
    """Bytes; less where each byte takes long and more of them reach nothing new."""


def scratch() -> Path:
    """A folder of this process, gone with it."""
    place = tempfile.mkdtemp(prefix="stripwatch-fuzz-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return Path(place)


def told(error: BadInput) -> None:
    """A refusal is a text for people and logs."""
    text = str(error)
    if len(text) > LONGEST_TEXT:
        raise AssertionError(f"a message of {len(text)} characters")
    if not text.isprintable():
        raise AssertionError(f"a message of more than one line, or that writes to the terminal: {text!r}")


def changed(data: bytes, random: Random) -> bytes:
    """A few bytes changed, taken out or put in, as a fuzzer without coverage does."""
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        at = random.randrange(len(out) + 1)
        match random.randrange(6):
            case 0 if at < len(out):
                out[at] ^= 1 << random.randrange(8)
            case 1 if at < len(out):
                out[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
            case 2:
                out[at:at] = random.randbytes(random.choice((1, 2, 4, 8)))
            case 3:
                del out[at : at + random.choice((1, 2, 4, 64))]
            case 4:
                out[at:at] = out[at : at + random.randrange(1, 64)] * random.choice((1, 2, 50))
            case _:
                out[at : at + 4] = random.choice(_ODD)
    return bytes(out[:LARGEST_INPUT])
