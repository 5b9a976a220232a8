"""Cursors: a reader's place in a stream of events."""

from __future__ import annotations

from stripwatch.errors import BadInput


def checked(cursor: str) -> str:
    """The cursor as `MILLISECONDS-NUMBER` ("": the beginning); BadInput if it cannot be one."""
    first, dash, second = (cursor or "0").partition("-")
    parts = (first, second) if dash else (first,)
    if not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
        raise BadInput(f"cursor: expected one that came with an event, such as 1700000000000-0, got {cursor!r}")
    return f"{first}-{second or 0}"
