"""Entries of the streams between the services, and where an event has its place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stripwatch.domain.frame import RunId


class Kind(StrEnum):
    """What an entry of `frames` or `results` holds."""

    START = "start"
    FRAME = "frame"
    END = "end"
    RESULT = "result"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream. `body` is a protobuf message, `pixels` the frame's bytes (frames only).

    `deliveries` counts how often it was handed out, this time included; `trace` is the context (a W3C traceparent) of
    the step that sent it, empty unless its trace is taken.
    """

    id: str
    kind: Kind
    run: RunId
    body: bytes
    pixels: bytes = b""
    deliveries: int = 1
    trace: str = ""

    @property
    def came_ms(self) -> int:
        """When it came into the stream, by the clock of its server: ids are made of it."""
        return int(self.id.partition("-")[0])


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An entry on its way into `frames`."""

    kind: Kind
    run: RunId
    body: bytes
    pixels: bytes = b""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A verdict or an alarm as published: `json` is the CloudEvent, `body` the protobuf message."""

    event_id: str
    run: RunId
    json: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Published:
    """An event and its place in the stream."""

    cursor: str
    event: Event
