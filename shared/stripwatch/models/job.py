"""One request for scores, from the queue to its answer; it may go through the engines in several parts."""

from __future__ import annotations

import threading

import numpy as np

from stripwatch.errors import DeadlineExceeded, StripwatchError
from stripwatch.ports import Scores, Tiles
from stripwatch.runtime.deadline import Deadline


class Job:
    """(N, channels, size, size) tiles that want scores by a deadline.

    `left` and `take` belong to the queue (under its lock); `done` and `fail` to the engines; `result` and `cancel`
    to who asked.
    """

    def __init__(self, tiles: Tiles, deadline: Deadline) -> None:
        self.tiles = tiles
        self._deadline = deadline
        self._taken = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._open_rows = len(tiles)
        self._scores: Scores | None = None
        self._error: StripwatchError | None = None

    @property
    def left(self) -> int:
        """Rows that no engine has taken yet."""
        return len(self.tiles) - self._taken

    def take(self, room: int) -> tuple[int, int]:
        """The next rows, at most `room`: first, and one past the last."""
        start, self._taken = self._taken, min(len(self.tiles), self._taken + room)
        return start, self._taken

    def wanted(self) -> bool:
        """Whether somebody still waits for it; a job past its deadline ends here."""
        if not self._ended.is_set() and self._deadline.left() <= 0:
            self.fail(DeadlineExceeded("the request's time ran out while it waited for an engine"))
        return not self._ended.is_set()

    def done(self, start: int, rows: Scores) -> None:
        """Scores of the rows from `start` on."""
        with self._lock:
            if self._ended.is_set():
                return
            if self._scores is None and len(rows) == len(self.tiles):
                self._scores = rows
            else:
                if self._scores is None:
                    self._scores = np.empty((len(self.tiles), *rows.shape[1:]), dtype=np.float32)
                self._scores[start : start + len(rows)] = rows
            self._open_rows -= len(rows)
            if not self._open_rows:
                self._ended.set()

    def fail(self, error: StripwatchError) -> None:
        """Ends the job; the first end counts."""
        with self._lock:
            if not self._ended.is_set():
                self._error = error
                self._ended.set()

    def cancel(self) -> None:
        """Nobody waits any more: rows that no engine has taken are dropped."""
        self.fail(DeadlineExceeded("the caller went away"))

    def result(self) -> Scores:
        """(N, classes) or (N,) scores; waits for them until the deadline, raises what ended the job."""
        if not self._ended.wait(self._deadline.left()):
            self.fail(DeadlineExceeded("the request's time ran out before its scores were there"))
        if self._scores is None or self._error is not None:
            raise self._error or DeadlineExceeded("the request ended without scores")
        return self._scores
