"""What is on its way into the stream: runs' starts, frames and ends, in order, gone only when the stream took them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping

from stripwatch.domain.frame import RunId
from stripwatch.domain.strip import RunStart
from stripwatch.errors import Conflict
from stripwatch.feed.rules import FeedRules
from stripwatch.ports import Kind, Outgoing, Source
from stripwatch.rpc.codec.frames import encode_start
from stripwatch.runtime import logging as logs
from stripwatch.runtime.metrics.feed import FeedMeter
from stripwatch.runtime.tracing import NOTHING, Span

log = logging.getLogger(__name__)


class Outbox:
    """Sends in batches. A batch that failed half-way goes out whole again: repeats of a frame are harmless."""

    def __init__(self, source: Source, rules: FeedRules, meter: FeedMeter) -> None:
        self._source = source
        self._rules = rules
        self._meter = meter
        self._entries: deque[Outgoing] = deque()
        self._started: dict[RunId, RunStart] = {}
        self._ends: dict[RunId, list[Outgoing]] = {}
        self._traces: dict[RunId, str] = {}
        self._spans: dict[str, Span] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Outgoing, start: RunStart | None = None, span: Span = NOTHING) -> None:
        """Adds an entry; with a run's start marker comes the start itself. `span` ends when the stream took it."""
        if start is not None:
            self._started[start.run] = start
            self._traces[start.run] = entry.trace
        if span:
            self._spans[entry.trace] = span
        if entry.kind is Kind.END:
            self._ends.setdefault(entry.run, []).append(entry)
        self._entries.append(entry)
        self.bytes += len(entry.pixels)

    def waiting(self) -> Mapping[str, int]:
        """How many entries of each kind wait."""
        kinds = [entry.kind.value for entry in self._entries]
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}

    def settled(self, run: RunId) -> bool:
        """Whether nothing of the run waits; if so, it is forgotten."""
        if any(entry.run == run for entry in self._entries):
            return False
        self._started.pop(run, None)
        self._ends.pop(run, None)
        self._traces.pop(run, None)
        return True

    def send(self) -> None:
        """Sends one batch, or one run's start. StreamUnavailable or StreamFull: it still waits.

        Conflict: the run was closed before it began here; all of it is dropped.
        """
        head = self._entries[0]
        if head.kind is Kind.START:
            self._start(head)
            self._drop(1)
            return
        batch: list[Outgoing] = []
        size = 0
        for entry in self._entries:
            size += len(entry.pixels)
            full = len(batch) >= self._rules.batch_frames or (batch and size > self._rules.batch_bytes)
            if entry.kind is Kind.START or full:
                break
            batch.append(entry)
        try:
            self._source.publish(batch)
        except Conflict:
            self._reopen(batch)
            self._source.publish(batch)
        self._drop(len(batch))

    def _start(self, entry: Outgoing) -> None:
        start = self._started[entry.run]
        try:
            fresh = self._source.start_run(
                entry.run,
                entry.body,
                cameras=[camera.name for camera in start.cameras],
                live=start.live,
                deadline_ms=round(self._rules.run_deadline_s * 1000),
                trace=entry.trace,
            )
        except Conflict as error:
            for other in self._entries:
                if other.run == entry.run:
                    self._ended(other, "the run has its verdict already")
            self._entries = deque(other for other in self._entries if other.run != entry.run)
            self.bytes = sum(len(other.pixels) for other in self._entries)
            raise Conflict(f"run {entry.run} has its verdict already ({error}); another pass is another run") from error
        if not fresh:
            log.info("run is open already, going on with it", extra=logs.of_run(entry.run))

    def _reopen(self, batch: list[Outgoing]) -> None:
        """The stream came back without runs that it had taken: starts them anew, what was lost shows as gaps.

        Ends that it had taken go out again with the start, or a replay would wait for them for ever.
        """
        for run in dict.fromkeys(entry.run for entry in batch):
            log.warning("the stream does not know the run any more, starting it again", extra=logs.of_run(run))
            self._start(Outgoing(Kind.START, run, encode_start(self._started[run]), trace=self._traces[run]))
            self._source.publish(self._ends.get(run, []))

    def _drop(self, count: int) -> None:
        gone = [self._entries.popleft() for _ in range(count)]
        size = sum(len(entry.pixels) for entry in gone)
        self.bytes -= size
        self._meter.took(sum(entry.kind is Kind.FRAME for entry in gone), size)
        for entry in gone:
            self._ended(entry)

    def _ended(self, entry: Outgoing, fault: str = "") -> None:
        if entry.trace:
            self._spans.pop(entry.trace, NOTHING).end(fault)
