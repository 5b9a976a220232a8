"""Dynamic batching: requests of one model wait in one bounded queue, and engines take what waits."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from stripwatch.errors import BadInput, ModelNotReady, Overloaded, StripwatchError
from stripwatch.models.job import Job
from stripwatch.models.part import Part, answer, even, fail, joined
from stripwatch.ports import Descriptors, Engine, Tiles
from stripwatch.runtime.deadline import Deadline
from stripwatch.runtime.metrics.engines import EngineMeter

log = logging.getLogger(__name__)

_FIRST_GUESS_S = 0.005
_SMOOTHING = 0.2
_LEAST_HINT_S, _MOST_HINT_S = 0.01, 5.0


@dataclass(frozen=True, slots=True)
class Batching:
    """How rows are put together: at most `max_batch` a run, `queue_tiles` waiting, `wait_s` for company.

    A request that is alone is shared by idle engines, none of which gets fewer than `least_shared` rows.
    """

    max_batch: int = 64
    queue_tiles: int = 1024
    wait_s: float = 0.0
    least_shared: int = 4

    @property
    def whole(self) -> Batching:
        """For rows that cost next to nothing: a request goes in one run."""
        return Batching(self.queue_tiles, self.queue_tiles, least_shared=self.queue_tiles)


class Batcher:
    """One graph's queue, and a thread for each of its engines (an engine runs outside Python's lock).

    A row is a tile or its descriptor, whichever the graph takes. Batches are never padded: on a CPU a padded tile costs
    as much as a real one.
    """

    def __init__(self, name: str, engines: Sequence[Engine], batching: Batching) -> None:
        self.name = name
        self._batching = batching
        self._jobs: deque[Job] = deque()
        self._waiting = 0  # tiles that no engine has taken yet
        self._idle = 0
        self._closing = False
        self._lock = threading.Lock()
        # One word a job, and one for each worker at the end. A Condition is Python's own work at every word.
        self._words: SimpleQueue[None] = SimpleQueue()
        self._tile_s = _FIRST_GUESS_S
        self._meter = EngineMeter(name, len(engines))
        self._workers = [
            threading.Thread(target=self._work, args=(engine,), name=f"{name} {number}", daemon=True)
            for number, engine in enumerate(engines)
        ]
        for worker in self._workers:
            worker.start()

    def submit(self, rows: Tiles | Descriptors, deadline: Deadline, extras: tuple[str, ...] = ()) -> Job:
        """Queues N rows. Overloaded if too many wait, and when to come back."""
        count, limit = len(rows), self._batching.queue_tiles
        if count > limit:
            raise BadInput(f"model {self.name}: expected at most {limit} tiles a request, got {count}")
        job = Job(rows, deadline, extras)
        with self._lock:
            if self._closing:
                raise ModelNotReady(f"model {self.name}: the service is stopping")
            if self._waiting + count > limit:
                raise Overloaded(
                    f"model {self.name}: {self._waiting} tiles wait, expected at most {limit} with the {count} of this "
                    "request",
                    retry_after_s=self._hint(count),
                )
            self._jobs.append(job)
            self._waiting += count
        self._words.put(None)
        return job

    def close(self, timeout_s: float) -> None:
        """Takes no more, finishes what waits; what is not done after `timeout_s` fails."""
        with self._lock:
            self._closing = True
        for _ in self._workers:
            self._words.put(None)
        deadline = Deadline.after(timeout_s)
        for worker in self._workers:
            worker.join(deadline.left())
        with self._lock:
            left, self._waiting = list(self._jobs), 0
            self._jobs.clear()
        for job in left:
            job.fail(ModelNotReady(f"model {self.name}: the service stopped before this request's turn"))

    def _hint(self, count: int) -> float:
        """Seconds until there is room for `count` tiles, at the speed measured last."""
        over = self._waiting + count - self._batching.queue_tiles
        return min(_MOST_HINT_S, max(_LEAST_HINT_S, over * self._tile_s / len(self._workers)))

    def _work(self, engine: Engine) -> None:
        while parts := self._take():
            started = time.monotonic()
            try:
                outputs = engine.run(joined(parts), parts[0].job.extras)
                self._measure(parts, started, time.monotonic() - started)
                answer(parts, outputs)
            except StripwatchError as error:
                self._meter.failed()
                fail(parts, error)
            except Exception:
                log.exception("an engine failed by a fault of ours")
                self._meter.failed()
                fail(parts, ModelNotReady(f"model {self.name}: its engine failed"))

    def _take(self) -> list[Part]:
        """The next batch; waits for one. Nothing: the queue is empty and closed."""
        while True:
            with self._lock:
                self._idle += 1
            self._words.get()
            self._wait_for_company()
            with self._lock:
                idle, self._idle = self._idle, self._idle - 1
                if not self._jobs and self._closing:
                    self._words.put(None)  # one that waited for company may have taken another's
                    return []
                parts = self._cut(idle)
                more = bool(self._jobs)
            if more:
                self._words.put(None)  # one word a job: of those that were put together, or in part
            if parts:
                return parts

    def _wait_for_company(self) -> None:
        """Lets a batch fill up, for as long as it may."""
        deadline = Deadline.after(self._batching.wait_s)
        while deadline.left() and self._waiting < self._batching.max_batch and not self._closing:
            try:
                self._words.get(timeout=deadline.left())
            except Empty:
                return

    def _cut(self, idle: int) -> list[Part]:
        """Whole jobs, oldest first, until this engine has its share of what waits.

        Only a long job is split, and one that waits alone while several engines are idle.
        Those of one batch want the same extras: nobody waits for what only another asked for.
        """
        most = self._batching.max_batch
        share = min(most, -(-self._waiting // idle))
        parts: list[Part] = []
        room = most
        while self._jobs and room and most - room < share:
            job = self._jobs[0]
            if not job.wanted():
                self._jobs.popleft()
                self._waiting -= job.left
                continue
            if parts and (job.left > room or job.extras != parts[0].job.extras):
                break  # a whole run of its own comes next, with no copy
            alone = len(self._jobs) == 1
            least = min(most, max(share, self._batching.least_shared)) if alone else most
            start, stop = job.take(room if parts else even(job.left, least))
            parts.append(Part(job, start, stop))
            self._waiting -= stop - start
            room -= stop - start
            if not job.left:
                self._jobs.popleft()
        return parts

    def _measure(self, parts: list[Part], started: float, seconds: float) -> None:
        tiles = sum(len(part) for part in parts)
        with self._lock:
            self._tile_s += _SMOOTHING * (seconds / tiles - self._tile_s)
        self._meter.ran(tiles, seconds)
        for part in parts:
            if part.start == 0:  # once a request, however many runs it takes
                self._meter.waited(started - part.job.queued_at)
            if part.job.span:
                self._trace(part, tiles, started, seconds)

    def _trace(self, part: Part, tiles: int, started: float, seconds: float) -> None:
        began_ns = time.time_ns() - round(seconds * 1e9)
        if part.start == 0:
            queued_ns = began_ns - round((started - part.job.queued_at) * 1e9)
            part.job.span.child("wait for an engine", at_ns=queued_ns).end(at_ns=began_ns)
        engine = part.job.span.child("run engine", at_ns=began_ns)
        engine.note({"stripwatch.model": self.name, "stripwatch.tiles": len(part), "stripwatch.run_tiles": tiles})
        engine.end()
