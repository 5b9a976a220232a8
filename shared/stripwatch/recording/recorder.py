"""Follows a line's tap into a recording that holds whole runs only."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from stripwatch.domain.frame import RunId
from stripwatch.errors import RecordingInvalid, StreamFull, StreamUnavailable
from stripwatch.ports import Kind, LineStream, Tapped
from stripwatch.recording.reader import read_lines
from stripwatch.recording.writer import RecordingWriter
from stripwatch.rpc.codec.frames import decode_end, decode_start
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.runtime.logging import of_run

log = logging.getLogger(__name__)

_BATCH = 32
_BLOCK_MS = 300


@dataclass(slots=True)
class Progress:
    """What a recording holds so far. `skipped` runs had begun before it did; `cut` ones had not ended when it did."""

    whole: list[RunId] = field(default_factory=list)
    open: dict[RunId, set[str]] = field(default_factory=dict)
    skipped: set[RunId] = field(default_factory=set)
    cut: list[RunId] = field(default_factory=list)
    frames: int = 0
    bytes: int = 0


class Recorder:
    """Records a line until told to stop (or `runs` runs are whole), then waits `grace_s` for open runs to end.

    RecordingInvalid, and no file, if the tap lost anything (its memory bound, an expired lease) or no run was whole;
    Conflict if the tap has another recorder or the file exists.
    """

    def __init__(
        self,
        line: LineStream,
        path: Path,
        owner: str,
        *,
        runs: int = 0,
        grace_s: float = 30.0,
        lease_ms: int = 15_000,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
    ) -> None:
        self._line = line
        self._path = path
        self._owner = owner
        self._runs = runs
        self._grace_s = grace_s
        self._lease_ms = lease_ms
        self._on_progress = on_progress
        self._leased_at = -1e9
        self._number = 0
        self.progress = Progress()

    def record(self, lifecycle: Lifecycle) -> Progress:
        """Records; says at the end what the file holds."""
        with RecordingWriter(self._path) as writer:
            self._renew()
            try:
                self._follow(writer, lifecycle)
            finally:
                self._release()
            self._finish(writer)
        return self.progress

    def _follow(self, writer: RecordingWriter, lifecycle: Lifecycle) -> None:
        progress = self.progress
        cursor, give_up_at = "", float("inf")
        while True:
            enough = not lifecycle.running or 0 < self._runs <= len(progress.whole)
            if enough and give_up_at == float("inf"):
                give_up_at = time.monotonic() + self._grace_s
            if enough and (not progress.open or time.monotonic() >= give_up_at):
                return
            try:
                self._renew()
                if cursor:
                    self._line.tap.forget(cursor)
                tapped = self._line.tap.read(cursor, _BATCH, _BLOCK_MS)
            except (StreamUnavailable, StreamFull) as error:
                if time.monotonic() - self._leased_at > self._lease_ms / 1000:
                    raise RecordingInvalid(f"{self._path}: failed, {error}") from error
                time.sleep(0.2)
                continue
            for one in tapped:
                self._take(writer, one, begin=not enough)
            if tapped:
                cursor = tapped[-1].id
                self._on_progress(progress)

    def _take(self, writer: RecordingWriter, tapped: Tapped, *, begin: bool) -> None:
        self._number += 1
        if tapped.number != self._number:
            raise RecordingInvalid(
                f"{self._path}: failed, expected entry {self._number} of the tap of line {self._line.line}, "
                f"got {tapped.number}: it overflowed, or the lease ran out"
            )
        entry, progress = tapped.entry, self.progress
        full = 0 < self._runs <= len(progress.whole) + len(progress.open)
        if entry.kind is Kind.START and begin and not full and entry.run not in progress.whole:
            cameras = {camera.name for camera in decode_start(entry.body).cameras}
            progress.open.setdefault(entry.run, cameras)
        if entry.run not in progress.open and entry.run not in progress.whole:  # a repeated batch may follow the ends
            if entry.run not in progress.skipped:
                progress.skipped.add(entry.run)
                log.warning("run is left out, its start was not recorded", extra=of_run(entry.run))
            return
        writer.write(entry, published_ns=int(tapped.id.partition("-")[0] or 0) * 1_000_000)
        if entry.kind is Kind.FRAME:
            progress.frames += 1
            progress.bytes += len(entry.pixels)
        if entry.kind is Kind.END and entry.run in progress.open:
            waits_for = progress.open[entry.run]
            waits_for.discard(decode_end(entry.body).camera)
            if not waits_for:
                del progress.open[entry.run]
                progress.whole.append(entry.run)

    def _finish(self, writer: RecordingWriter) -> None:
        progress = self.progress
        progress.cut = list(progress.open)
        if not progress.whole:
            left_out = f"; cut short or begun before: {', '.join(map(str, [*progress.cut, *progress.skipped]))}"
            raise RecordingInvalid(
                f"{self._path}: nothing recorded, no whole run went by on line {self._line.line}"
                f"{left_out if progress.cut or progress.skipped else ''}"
            )
        if not progress.cut:
            writer.finish()
            return
        for run in progress.cut:
            log.warning("run is left out, it had not ended when the recording did", extra=of_run(run))
        writer.seal()
        with RecordingWriter(self._path, ".whole.part") as whole:
            for line in read_lines(writer.part):
                if line.entry.run not in progress.open:
                    whole.write(line.entry, line.published_ns)
            whole.finish()

    def _renew(self) -> None:
        now = time.monotonic()
        if now - self._leased_at > self._lease_ms / 3000:
            self._line.tap.lease(self._owner, self._lease_ms)
            self._leased_at = now

    def _release(self) -> None:
        try:
            self._line.tap.release(self._owner)
        except StreamUnavailable:
            log.warning("could not give the tap back; it is free after a while", extra={"line": self._line.line})
