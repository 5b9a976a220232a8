"""Cursors: a reader's place in a stream of events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stripwatch.errors import BadInput, CursorLost

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def checked(cursor: str) -> str:
    """The cursor as `MILLISECONDS-NUMBER` ("": the beginning); BadInput if it cannot be one."""
    first, dash, second = (cursor or "0").partition("-")
    parts = (first, second) if dash else (first,)
    if not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
        raise BadInput(f"cursor: expected one that came with an event, such as 1700000000000-0, got {cursor!r}")
    return f"{first}-{second or 0}"


def trimmed(stream: str, cursor: str, removed: str) -> CursorLost:
    """The error of a reader whose place is gone: what it missed, and where it can go on. `removed` went last."""
    return CursorLost(
        f"{stream}: events after cursor {cursor} were trimmed away, up to {removed}: those from {_moment(cursor)} to "
        f"{_moment(removed)} UTC are missed; cursor {removed} goes on with the oldest one kept"
    )


def _moment(cursor: str) -> str:
    """The time in a cursor, to the second."""
    try:
        return f"{_EPOCH + timedelta(milliseconds=int(cursor.partition('-')[0])):%Y-%m-%d %H:%M:%S}"
    except OverflowError:  # an id that somebody made up
        return cursor
