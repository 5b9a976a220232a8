"""What the services need from outside, as Protocols; `stream/` and `rpc/` hold the adapters.

Everything a service does with Redis goes through the stream ports below. All of them are bound to one line.
Adapters raise `StreamUnavailable` when the server does not answer and `StreamFull` when it refuses writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stripwatch.domain.frame import RunId
from stripwatch.domain.model import ModelSpec

Tiles = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]


class Kind(StrEnum):
    """What an entry of `frames` or `results` holds."""

    START = "start"
    FRAME = "frame"
    END = "end"
    RESULT = "result"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream. `body` is a protobuf message, `pixels` the frame's bytes (frames only).

    `deliveries` counts how often it was handed out, this time included.
    """

    id: str
    kind: Kind
    run: RunId
    body: bytes
    pixels: bytes = b""
    deliveries: int = 1


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An entry on its way into `frames`."""

    kind: Kind
    run: RunId
    body: bytes
    pixels: bytes = b""


class Queue(Protocol):
    """A stream with a consumer group: `frames` or `results` of one line. An acked entry is gone."""

    def read(self, consumer: str, count: int, block_ms: int) -> list[Entry]:
        """Up to `count` entries nobody was given yet; waits up to `block_ms` for the first (0: does not wait)."""

    def claim(self, consumer: str, idle_ms: int, count: int) -> list[Entry]:
        """Up to `count` entries given to somebody who has not been heard of for `idle_ms`."""

    def keep(self, consumer: str, ids: Sequence[str]) -> None:
        """Says that the consumer is alive and still at work on these."""

    def hand_back(self, consumer: str, ids: Sequence[str]) -> None:
        """Gives untouched entries back, for anyone to claim at once; this delivery does not count."""

    def leave(self, consumer: str) -> bool:
        """Takes the consumer out of the group; False (and nothing done) while it still has entries."""

    def backlog(self) -> Backlog:
        """What waits, ours to count: an acked entry is gone, so the stream's length is the backlog."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """`waiting` entries not yet acked, `pending` of them given to a consumer; `oldest_ms` is the age of the oldest."""

    waiting: int
    pending: int
    oldest_ms: int


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes that the stream's server uses, and its limit (0: none)."""

    used: int
    limit: int


class LineState(StrEnum):
    """What the operator has asked of a line's sources."""

    RUNNING = "running"
    PAUSED = "paused"
    """Sources hold frames back: replays wait, live sources shed and say so."""
    DRAINING = "draining"
    """No new run starts; open ones are finished."""


class Source(Protocol):
    """The side of a line where frames come in."""

    def start_run(self, run: RunId, body: bytes, *, cameras: Sequence[str], live: bool, deadline_ms: int) -> bool:
        """Opens the run and publishes its start in one step; False if it is open already. Conflict if it is closed.

        `body` is the start marker. An acknowledged start gets a verdict.
        """

    def publish(self, entries: Sequence[Outgoing]) -> None:
        """Appends frames and end markers of runs that were started; Conflict where one was not."""

    def memory(self) -> MemoryUse: ...

    def hold(self, owner: str, *, live: bool, ttl_ms: int) -> None:
        """Takes or renews the line for a source. Conflict: replays and live sources exclude each other."""

    def release(self, owner: str) -> None: ...

    def state(self) -> LineState: ...

    def set_state(self, state: LineState) -> None: ...


@dataclass(frozen=True, slots=True)
class Done:
    """A frame entry that has its outcome: what goes to `results` in the same step as the ack."""

    id: str
    kind: Kind
    run: RunId
    body: bytes


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run's start marker and pins as stored; empty where there are none."""

    start: bytes = b""
    pins: bytes = b""
    closed: bool = False


class Work(Protocol):
    """What the preprocessing worker does with frames beyond reading them."""

    def finish(self, done: Sequence[Done]) -> int:
        """For each: result in, frame acked and deleted, in one atomic step, also when memory is full.

        Returns how many were still ours; one that somebody else finished first is passed over.
        """

    def bury(self, done: Done, reason: str) -> bool:
        """Like `finish`, and the frame's bytes go to `dead` with the reason."""

    def info(self, run: RunId) -> RunInfo: ...

    def pin(self, run: RunId, pins: bytes) -> bytes:
        """Sets the run's pins if it has none; returns those in force."""


class Recorded(StrEnum):
    """What became of an outcome that was to be recorded."""

    NEW = "new"
    REPEAT = "repeat"
    LATE = "late"
    """The run has its verdict already."""
    UNKNOWN = "unknown"
    """No such run: neither open nor remembered. The entry is not acked."""


@dataclass(frozen=True, slots=True)
class Record:
    """One frame's outcome on its way into the run's state.

    `flagged` is the FrameResult of a frame with something to report, empty otherwise; `failure` the reason of a
    failed one, empty for a judged one.
    """

    id: str
    run: RunId
    camera: str
    index: int
    inspected_mm2: int
    strip_mm2: int
    flagged: bytes = b""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class CameraState:
    """What a run knows of one camera. `judged` has one bit a frame, index 0 first in the highest bit of byte 0."""

    end: bytes = b""
    judged: bytes = b""
    inspected_mm2: int = 0
    strip_mm2: int = 0


@dataclass(frozen=True, slots=True)
class RunState:
    """All that is known of an open run. `revision` changes with every record."""

    run: RunId
    revision: int
    start: bytes
    pins: bytes
    live: bool
    idle_ms: int
    deadline_ms: int
    busy: bool
    """Whether entries of the line as old as the run's last one still wait in `frames` or `results`."""
    cameras: Mapping[str, CameraState] = field(default_factory=dict)
    flagged: tuple[bytes, ...] = ()
    failures: Mapping[tuple[str, int], str] = field(default_factory=dict)


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


class Runs(Protocol):
    """Open runs of one line, and how they end. Nothing here depends on who calls it: any replica may."""

    def record(self, records: Sequence[Record]) -> list[Recorded]:
        """Records outcomes and acks their entries, each in one atomic step, also when memory is full."""

    def record_end(self, entry_id: str, run: RunId, camera: str, body: bytes, frames: int, shed: int) -> Recorded:
        """Records a camera's end marker: it used `frames` indices, of which it did not send `shed`."""

    def acknowledge(self, entry_ids: Sequence[str]) -> None:
        """Acks entries of `results` that ask for nothing more: start markers, whose run `start_run` opened."""

    def discard(self, entry_id: str, reason: str) -> None:
        """Moves an entry of `results` that belongs nowhere to `dead`."""

    def due(self, limit: int) -> list[RunId]:
        """Open runs to look at now: complete ones, and live ones that have been idle for their deadline."""

    def postpone(self, run: RunId, delay_ms: int) -> None:
        """Looks at the run again after a while, unless something happens in it first."""

    def state(self, run: RunId) -> RunState | None:
        """The run as it is now; None if it is closed or unknown."""

    def close(self, run: RunId, revision: int, verdict: Event) -> bool:
        """Publishes the verdict and forgets the run but for a tombstone, in one atomic step.

        False, and nothing done, if the run is closed or has changed since `revision`.
        """

    def alarm(self, key: str, alarm: Event) -> bool:
        """Publishes an alarm unless the run raised one of that key before, or is closed."""

    def open_runs(self) -> list[RunId]: ...

    def late(self, run: RunId) -> int:
        """How many results came after the run's verdict."""


class EventLog(Protocol):
    """Verdicts or alarms of one line, for those who follow them."""

    def since(self, cursor: str, count: int, block_ms: int) -> list[Published]:
        """Up to `count` events after `cursor` ("" or "0": from the oldest kept); waits up to `block_ms` for one.

        CursorLost if an event after the cursor was trimmed away, or if the cursor lies beyond the stream's end.
        """

    def latest(self) -> str:
        """The cursor after which only events to come lie."""

    def page(self, before: str, count: int) -> list[Published]:
        """Up to `count` events before the cursor ("": the newest), newest first."""


class Verdicts(EventLog, Protocol):
    """Verdicts, to follow or to look up."""

    def of(self, run: RunId) -> Published | None: ...


@dataclass(frozen=True, slots=True)
class Tapped:
    """A copy of an entry that went into `frames`, numbered without gaps while the lease lasts."""

    id: str
    number: int
    entry: Outgoing


class Tap(Protocol):
    """Copies of frames for a recorder."""

    def lease(self, owner: str, ttl_ms: int) -> None:
        """Takes or renews the tap; Conflict while another recorder has it."""

    def release(self, owner: str) -> None: ...

    def read(self, after: str, count: int, block_ms: int) -> list[Tapped]: ...

    def forget(self, up_to: str) -> None: ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What could not be processed: an entry of `frames` or `results`, and why."""

    id: str
    reason: str
    origin: str
    entry: Entry


class Dead(Protocol):
    """What could not be processed, with its reason and bytes."""

    def page(self, count: int) -> list[DeadLetter]:
        """The newest first."""

    def requeue(self, letter_id: str) -> bool:
        """Puts it back at the end of the stream it came from; False if there is no such letter."""


class Beats(Protocol):
    """Heartbeats, so that `no defect` and `inspector stopped` look different."""

    def beat(self, stage: str, who: str, ttl_ms: int) -> None: ...

    def alive(self) -> dict[str, list[str]]:
        """Who was heard of lately, by stage."""


class LineStream(Protocol):
    """Everything about one line."""

    @property
    def line(self) -> str: ...
    @property
    def frames(self) -> Queue: ...
    @property
    def results(self) -> Queue: ...
    @property
    def source(self) -> Source: ...
    @property
    def work(self) -> Work: ...
    @property
    def runs(self) -> Runs: ...
    @property
    def verdicts(self) -> Verdicts: ...
    @property
    def alarms(self) -> EventLog: ...
    @property
    def tap(self) -> Tap: ...
    @property
    def dead(self) -> Dead: ...
    @property
    def beats(self) -> Beats: ...


class Stream(Protocol):
    """The transport between the services."""

    def line(self, name: str) -> LineStream:
        """One line's streams; groups and server-side functions are there afterwards."""

    def ping(self) -> None:
        """Raises StreamUnavailable unless the server answers and takes our functions."""

    def close(self) -> None: ...


class Engine(Protocol):
    """Runs one model's graph."""

    @property
    def name(self) -> str:
        """Name and version, as pinned with a run."""

    def __call__(self, tiles: Tiles) -> Scores:
        """Tiles (N, channels, size, size) to scores: (N, classes) probabilities or (N,) anomaly scores."""


class Scorer(Protocol):
    """A model service as its caller sees it: the classifier or the anomaly scorer."""

    def describe(self, model: str, timeout_s: float) -> ModelSpec:
        """The spec of NAME (its newest version) or NAME/VERSION. NotFound, PeerUnavailable, ModelNotReady."""

    def submit(self, spec: ModelSpec, tiles: Tiles, timeout_s: float) -> Pending:
        """Sends a batch off; does not wait."""


class Pending(Protocol):
    """A batch on its way."""

    def done(self) -> bool: ...

    def result(self) -> npt.NDArray[np.int32]:
        """Scores in units of QUANTUM, (N, classes) or (N,); waits for them, raises what the service answered."""

    def cancel(self) -> None: ...
