"""What the codecs share: parsing that refuses what is no message, and enums by table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from stripwatch.errors import BadInput

M = TypeVar("M", bound=Message)
K = TypeVar("K", int, str)
E = TypeVar("E")


def parse(kind: type[M], body: bytes) -> M:
    """The message in `body`; BadInput if it is none."""
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise BadInput(f"expected a {kind.DESCRIPTOR.full_name}, got {len(body)} bytes that are none") from error


def known(what: str, table: Mapping[K, E], value: K) -> E:
    """The domain's word for a value on the wire; BadInput for unspecified or unknown ones."""
    try:
        return table[value]
    except KeyError:
        raise BadInput(f"{what}: expected one of {sorted(table)}, got {value}") from None
