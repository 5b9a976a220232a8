"""Stream entries as Redis returns them, made into ours."""

from __future__ import annotations

from typing import Any

from stripwatch.errors import BadInput
from stripwatch.ports import Entry, Event, Kind, Published
from stripwatch.runtime.tracing import traceparent
from stripwatch.stream.keys import run_of


class Unreadable(BadInput):
    """An entry that no version of ours, or none that we know, has written."""


def entry(line: str, raw: Any, deliveries: int = 1) -> Entry:
    """One entry of `frames`, `results` or `tap`. Unreadable if it is none of ours."""
    identity, given = raw
    try:
        return Entry(
            id=identity.decode(),
            kind=Kind(given[b"k"].decode()),
            run=run_of(line, given[b"r"].decode()),
            body=given[b"b"],
            pixels=given.get(b"p", b""),
            deliveries=deliveries,
            trace=traceparent(given.get(b"traceparent", b"")),
        )
    except (KeyError, ValueError, BadInput) as error:
        raise Unreadable(f"expected the fields k, r and b of an entry of ours: {error}") from error


def published(line: str, raw: Any) -> Published:
    """One entry of `verdicts` or `alarms`. Unreadable if it is none of ours."""
    identity, given = raw
    try:
        event = Event(given[b"id"].decode(), run_of(line, given[b"r"].decode()), given[b"j"], given[b"b"])
        return Published(identity.decode(), event)
    except (KeyError, ValueError, BadInput) as error:
        raise Unreadable(f"event {identity!r}: expected the fields id, r, j and b of one of ours: {error}") from error


def milliseconds(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])


def order(entry_id: str) -> tuple[int, int]:
    first, _, second = entry_id.partition("-")
    return int(first), int(second or 0)
