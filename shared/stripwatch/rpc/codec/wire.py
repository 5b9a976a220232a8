"""What the codecs share: parsing that refuses what is no message, and enums by table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from stripwatch.errors import BadInput

M = TypeVar("M", bound=Message)
K = TypeVar("K", int, str)
E = TypeVar("E")
T = TypeVar("T")


MOST_BYTES = 32 << 20
"""Of a message, unless its kind needs less."""


def parse(kind: type[M], body: bytes, most: int = MOST_BYTES) -> M:
    """The message in `body`; BadInput if it is none, or longer than `most` bytes: parsed it takes many times that."""
    if len(body) > most:
        raise BadInput(f"{kind.DESCRIPTOR.full_name}: expected at most {most} bytes, got {len(body)}")
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise BadInput(f"expected a {kind.DESCRIPTOR.full_name}, got {len(body)} bytes that are none") from error


def few(what: str, elements: Sequence[T], most: int) -> Sequence[T]:
    """The elements of a repeated field, unless there are more than anyone needs: each becomes objects of ours."""
    if len(elements) > most:
        raise BadInput(f"{what}: expected at most {most}, got {len(elements)}")
    return elements


def known(what: str, table: Mapping[K, E], value: K) -> E:
    """The domain's word for a value on the wire; BadInput for unspecified or unknown ones."""
    try:
        return table[value]
    except KeyError:
        raise BadInput(f"{what}: expected one of {sorted(table)}, got {value!r:.80}") from None
