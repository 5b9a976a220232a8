"""What the services need from outside, as Protocols; `stream/` and `rpc/` hold the adapters.

Everything a service does with Redis goes through the stream ports. All of them are bound to one line. Adapters raise
`StreamUnavailable` when the server does not answer and `StreamFull` when it refuses writes.
"""

from stripwatch.ports.entries import Entry, Event, Kind, Outgoing, Published
from stripwatch.ports.line import LineStream, Stream
from stripwatch.ports.models import Descriptors, Engine, Maps, Outputs, Pending, Scorer, Scores, Tiles
from stripwatch.ports.queue import Backlog, Queue
from stripwatch.ports.readers import Beats, Dead, DeadLetter, EventLog, Tap, Tapped, Verdicts
from stripwatch.ports.runs import (
    KEEPING,
    MOST_TRACED,
    CameraState,
    Keeping,
    Record,
    Recorded,
    Runs,
    RunState,
    frames_in,
)
from stripwatch.ports.source import LineState, MemoryUse, Source
from stripwatch.ports.standing import OLD_MS, Standing, standing, workers
from stripwatch.ports.work import Done, RunInfo, Work

__all__ = [
    "KEEPING",
    "MOST_TRACED",
    "OLD_MS",
    "Backlog",
    "Beats",
    "CameraState",
    "Dead",
    "DeadLetter",
    "Descriptors",
    "Done",
    "Engine",
    "Entry",
    "Event",
    "EventLog",
    "Keeping",
    "Kind",
    "LineState",
    "LineStream",
    "Maps",
    "MemoryUse",
    "Outgoing",
    "Outputs",
    "Pending",
    "Published",
    "Queue",
    "Record",
    "Recorded",
    "RunInfo",
    "RunState",
    "Runs",
    "Scorer",
    "Scores",
    "Source",
    "Standing",
    "Stream",
    "Tap",
    "Tapped",
    "Tiles",
    "Verdicts",
    "Work",
    "frames_in",
    "standing",
    "workers",
]
