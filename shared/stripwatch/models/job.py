"""One request, from the queue to its answer; it may go through the engines in several parts."""

from __future__ import annotations

import threading
import time

import numpy as np

from stripwatch.errors import DeadlineExceeded, StripwatchError
from stripwatch.ports import Descriptors, Outputs, Tiles
from stripwatch.runtime import tracing
from stripwatch.runtime.deadline import Deadline


class Job:
    """N rows, tiles or descriptors, that want scores by a deadline, and the graph's `extras` with them.

    `span` is the work of the thread that asks.

    `left` and `take` belong to the queue (under its lock); `done` and `fail` to the engines; `result` and `cancel`
    to who asked.
    """

    def __init__(self, rows: Tiles | Descriptors, deadline: Deadline, extras: tuple[str, ...] = ()) -> None:
        self.rows = rows
        self.extras = extras
        self.queued_at = time.monotonic()
        self.span = tracing.current()
        self._deadline = deadline
        self._taken = 0
        self._lock = threading.Lock()
        self._ended = False
        # Locked until the end: for the one thread that waits, cheaper than an Event, which is Python's own work.
        self._end = threading.Lock()
        self._end.acquire()
        self._open_rows = len(rows)
        self._outputs: Outputs | None = None
        self._error: StripwatchError | None = None

    @property
    def left(self) -> int:
        """Rows that no engine has taken yet."""
        return len(self.rows) - self._taken

    def take(self, room: int) -> tuple[int, int]:
        """The next rows, at most `room`: first, and one past the last."""
        start, self._taken = self._taken, min(len(self.rows), self._taken + room)
        return start, self._taken

    def wanted(self) -> bool:
        """Whether somebody still waits for it; a job past its deadline ends here."""
        if not self._ended and self._deadline.left() <= 0:
            self.fail(DeadlineExceeded("the request's time ran out while it waited for an engine"))
        return not self._ended

    def done(self, start: int, outputs: Outputs) -> None:
        """What the graph gave of the rows from `start` on."""
        count = len(outputs[0])
        with self._lock:
            if self._ended:
                return
            if self._outputs is None and count == len(self.rows):
                self._outputs = outputs
            else:
                if self._outputs is None:
                    self._outputs = tuple(np.empty((len(self.rows), *one.shape[1:]), np.float32) for one in outputs)
                for whole, part in zip(self._outputs, outputs, strict=True):
                    whole[start : start + count] = part
            self._open_rows -= count
            if not self._open_rows:
                self._finish()

    def fail(self, error: StripwatchError) -> None:
        """Ends the job; the first end counts."""
        with self._lock:
            if not self._ended:
                self._error = error
                self._finish()

    def cancel(self) -> None:
        """Nobody waits any more: rows that no engine has taken are dropped."""
        self.fail(DeadlineExceeded("the caller went away"))

    def result(self) -> Outputs:
        """Scores and extras, (N, ...) each; waits for them until the deadline, raises what ended the job."""
        if self._end.acquire(timeout=self._deadline.left()):
            self._end.release()
        else:
            self.fail(DeadlineExceeded("the request's time ran out before its scores were there"))
        if self._outputs is None or self._error is not None:
            raise self._error or DeadlineExceeded("the request ended without scores")
        return self._outputs

    def _finish(self) -> None:
        self._ended = True
        self._end.release()
