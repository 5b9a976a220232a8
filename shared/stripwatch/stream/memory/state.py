"""What one line holds, behind one lock: every port method is one atomic step, as on Redis."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from stripwatch.domain.frame import RunId
from stripwatch.ports import Event, Keeping, LineState, Outgoing
from stripwatch.stream.memory.log import Log, now_ms, parse_id
from stripwatch.stream.memory.queue import MemoryQueue

MOST_STRAYS = 64


@dataclass
class Kept:
    """Values of the frames nearest to the head, up to a number of bytes; the same whatever the order they come in."""

    values: dict[tuple[int, str], bytes] = field(default_factory=dict)
    """By index and field, CAMERA:INDEX as on Redis, so that equals stand in the same order there."""
    beyond: int = 0
    _held: int = 0
    _cut: tuple[int, str] | None = None

    def add(self, index: int, camera: str, value: bytes, most: int) -> None:
        place = (index, f"{camera}:{index}")
        if self._cut is not None and place >= self._cut:
            self.beyond += 1
            return
        self.values[place] = value
        self._held += len(value)
        while self._held > most:
            self._cut = max(self.values)
            self._held -= len(self.values.pop(self._cut))
            self.beyond += 1

    def drop(self, index: int, camera: str) -> None:
        self._held -= len(self.values.pop((index, f"{camera}:{index}"), b""))


@dataclass
class CameraRecord:
    """One camera of an open run."""

    end: bytes = b""
    frames: int | None = None
    shed: int = 0
    judged: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    inspected_mm2: int = 0
    strip_mm2: int = 0

    def looks_complete(self) -> bool:
        return self.frames is not None and len(self.judged) + len(self.failed) >= self.frames - self.shed


@dataclass
class RunRecord:
    """One run, open or remembered (`closed`)."""

    start: bytes
    live: bool
    deadline_ms: int
    declared: tuple[str, ...]
    cameras: dict[str, CameraRecord] = field(default_factory=dict)
    pins: bytes = b""
    revision: int = 0
    last_ms: int = 0
    closed: str = ""
    late: int = 0
    tries: tuple[int, int] = (-1, 0)
    """A revision, and how often somebody was about to decide the run at it."""
    flagged: Kept = field(default_factory=Kept)
    reasons: Kept = field(default_factory=Kept)
    strays: set[str] = field(default_factory=set)
    alarms: set[str] = field(default_factory=set)
    trace: str = ""
    traced: list[str] = field(default_factory=list)

    def camera(self, name: str) -> CameraRecord:
        return self.cameras.setdefault(name, CameraRecord())


class LineMemory:
    """Streams and runs of one line."""

    def __init__(self) -> None:
        self.lock = threading.Condition(threading.RLock())
        self.frames = MemoryQueue(Log(self.lock))
        self.results = MemoryQueue(Log(self.lock))
        self.runs: dict[RunId, RunRecord] = {}
        self.open: dict[RunId, float] = {}
        self.verdicts: Log[Event] = Log(self.lock)
        self.verdict_of: dict[RunId, str] = {}
        self.alarms: Log[Event] = Log(self.lock)
        self.tap: Log[tuple[int, Outgoing]] = Log(self.lock)
        self.tap_owner = ""
        self.tap_until = 0
        self.tap_number = 0
        self.dead: Log[tuple[str, str, Outgoing]] = Log(self.lock)
        self.sources: dict[str, int] = {}
        self.state = LineState.RUNNING
        self.beats: dict[tuple[str, str], int] = {}

    def touch(self, run: RunId, entry_id: str = "") -> None:
        """Something happened in the run: now, or at an entry's own time, as the clock may have gone on since."""
        record = self.runs[run]
        record.last_ms = max(record.last_ms, parse_id(entry_id)[0] if entry_id else now_ms())
        record.revision += 1
        if record.live:
            self.open[run] = record.last_ms + record.deadline_ms

    def stir(self, run: RunId, entry_id: str) -> None:
        """A result on its way is news of its run."""
        if run in self.runs and not self.runs[run].closed:
            self.runs[run].last_ms = parse_id(entry_id)[0]
            self.runs[run].revision += 1

    def wake(self, run: RunId, when: Callable[[CameraRecord], bool]) -> None:
        """Makes the run due when it is so of all its cameras."""
        record = self.runs[run]
        if all(when(record.camera(name)) for name in record.declared):
            self.open[run] = 0

    def is_stray(self, run: RunId, camera: str) -> bool:
        """Whether the run did not declare the camera; if so, it is remembered by name."""
        record = self.runs[run]
        if camera in record.declared:
            return False
        known = set(sorted({*record.strays, camera})[:MOST_STRAYS])
        record.revision += known != record.strays
        record.strays = known
        return True

    def trim_verdicts(self, keeping: Keeping) -> None:
        """The oldest go first, the newest stays."""
        kept = self.verdicts.entries
        while len(kept) > 1:
            first, event = next(iter(kept.items()))
            held = sum(len(one.json) + len(one.body) for one in kept.values())
            if first[0] > now_ms() - keeping.verdict_ms and held <= keeping.verdict_bytes:
                return
            self.verdicts.delete(f"{first[0]}-{first[1]}")
            del self.verdict_of[event.run]

    def append_frame(self, entry: Outgoing) -> str:
        entry_id = self.frames.log.append(entry)
        if self.tap_owner and self.tap_until > now_ms():
            self.tap_number += 1
            self.tap.append((self.tap_number, replace(entry, trace="")))
        return entry_id
