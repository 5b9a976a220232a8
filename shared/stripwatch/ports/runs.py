"""Open runs, and how they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stripwatch.domain.frame import RunId
from stripwatch.ports.entries import Event

MOST_TRACED = 32
"""Frames' traces that a run remembers, for its verdict to be linked with."""


class Recorded(StrEnum):
    """What became of an outcome that was to be recorded."""

    NEW = "new"
    REPEAT = "repeat"
    LATE = "late"
    """The run has its verdict already."""
    UNKNOWN = "unknown"
    """No such run: neither open nor remembered. The entry is not acked."""
    STRAY = "stray"
    """Of a camera that the run's start did not declare."""


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
    trace: str = ""


@dataclass(frozen=True, slots=True)
class CameraState:
    """What a run knows of one camera.

    `judged` and `failed` have one bit a frame, index 0 first in the highest bit of byte 0; no frame is in both.
    """

    end: bytes = b""
    judged: bytes = b""
    failed: bytes = b""
    inspected_mm2: int = 0
    strip_mm2: int = 0


def frames_in(bitmap: bytes) -> npt.NDArray[np.intp]:
    """The indices of a bitmap's frames, in order, (frames,)."""
    return np.flatnonzero(np.unpackbits(np.frombuffer(bitmap, dtype=np.uint8)))


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
    """Of the frames nearest to the head, as many as the bounds allow; `beyond` counts the others."""
    beyond: int = 0
    failures: Mapping[tuple[str, int], str] = field(default_factory=dict)
    """Why frames failed; of very many only those nearest to the head."""
    strays: tuple[str, ...] = ()
    """Cameras that sent frames or an end but that the start did not declare."""
    trace: str = ""
    """The context of the run's start, empty unless traces are taken; nothing is decided by it."""
    traced: tuple[str, ...] = ()
    """Contexts of the first MOST_TRACED frames whose traces are taken."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How much of runs is kept, and how long.

    `flagged_bytes` and `reason_bytes` bound what an open run holds of its flagged and of its failed frames: those
    nearest to the head. `verdict_ms` and `verdict_bytes` bound the verdicts of a line, `tombstone_ms` how long a closed
    run is known for what it was.
    """

    flagged_bytes: int = 16 << 20
    reason_bytes: int = 128 << 10
    verdict_ms: int = 90 * 24 * 3600 * 1000
    verdict_bytes: int = 256 << 20
    tombstone_ms: int = 7 * 24 * 3600 * 1000


KEEPING = Keeping()


class Runs(Protocol):
    """Open runs of one line, and how they end. Nothing here depends on who calls it: any replica may."""

    def record(self, records: Sequence[Record], keeping: Keeping = KEEPING) -> list[Recorded]:
        """Records outcomes and acks their entries, each in one atomic step, also when memory is full.

        What is kept of them is the same whatever their order.
        """

    def record_end(self, entry_id: str, run: RunId, camera: str, body: bytes, frames: int, shed: int) -> Recorded:
        """Records a camera's end marker: it used `frames` indices, of which it did not send `shed`."""

    def acknowledge(self, entry_ids: Sequence[str]) -> None:
        """Acks entries of `results` that ask for nothing more: start markers, whose run `start_run` opened."""

    def discard(self, entry_id: str, reason: str) -> None:
        """Moves an entry of `results` that belongs nowhere to `dead`."""

    def due(self, limit: int) -> list[RunId]:
        """Open runs to look at now: complete or ended ones, and live ones idle for their deadline."""

    def now_ms(self) -> int:
        """The clock that deadlines go by: the server's own, which may be set."""

    def postpone(self, run: RunId, revision: int, delay_ms: int) -> None:
        """Looks at the run again after a while, unless something happened in it since `revision`, or does meanwhile."""

    def state(self, run: RunId) -> RunState | None:
        """The run as it is now; None if it is closed or unknown."""

    def attempt(self, run: RunId, revision: int) -> int:
        """Counts that somebody is about to decide an open run as it stands; how often that was so by now.

        Who ends over it leaves the run as it was, so the count goes on; news of the run begin it anew. 0: not open.
        """

    def close(self, run: RunId, revision: int, verdict: Event, keeping: Keeping = KEEPING) -> bool:
        """Publishes the verdict and forgets the run but for a tombstone, in one atomic step.

        False, and nothing done, if the run is closed or has changed since `revision`. Verdicts beyond what is kept go,
        the oldest first; the new one stays.
        """

    def alarm(self, key: str, alarm: Event) -> bool:
        """Publishes an alarm unless the run raised one of that key before, or is closed."""

    def open_runs(self) -> list[RunId]: ...

    def late(self, run: RunId) -> int:
        """How many results came after the run's verdict."""
