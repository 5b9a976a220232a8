"""Stream entries as Redis gives them, and the cursors that readers give us."""

from __future__ import annotations

from fuzz.target import Target, told
from stripwatch.errors import BadInput
from stripwatch.stream import cursor
from stripwatch.stream.redis.entries import entry, order, published

_END = b"\xff;"


def one(data: bytes) -> None:
    """Parts with `_END` between: the first is the id and a cursor, then fields and values in turn."""
    parts = data.split(_END)
    raw = (b"1700000000000-0", dict(zip(parts[1::2], parts[2::2], strict=False)))
    for read in (entry, published):
        try:
            read("line1", raw)
        except BadInput as error:
            told(error)
    try:
        order(cursor.checked(parts[0].decode(errors="surrogateescape")))
    except BadInput as error:
        told(error)


def seeds() -> list[bytes]:
    return [
        _END.join((b"1700000000000-0", b"k", b"frame", b"r", b"s:r", b"b", b"body", b"p", b"pixels")),
        _END.join((b"1700000000000", b"id", b"x", b"r", b"s:r", b"j", b"{}", b"b", b"body")),
        _END.join((b"", b"k", b"end", b"r", b"../x", b"b", b"")),
    ]


TARGET = Target("entries", one, seeds)
