"""One service's scores for one batch: asked for again until they come or the time budget is gone."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stripwatch.domain.model import ModelSpec
from stripwatch.errors import DeadlineExceeded, NotFound, Overloaded, StripwatchError, Unavailable
from stripwatch.ports import Descriptors, Pending, Tiles
from stripwatch.runtime.deadline import Deadline, backoff
from stripwatch.runtime.metrics.requests import sending

TEMPORARY = (Unavailable, Overloaded, DeadlineExceeded)

NOT_FOUND_TRIES = 5
"""One replica without the model says so for itself; this many answers in a row speak for all of them."""
REQUEST_BYTES = 16 * 2**20
"""Most bytes of tiles or descriptors in one request: half of what the services take."""

Submit = Callable[[Any, float], Pending]
"""Sends rows off to the model, with the seconds that its answer may take."""


class Ask:
    """Sends N rows, tiles or their descriptors, in requests of `batch_tiles`; all of them share the deadline.

    `wake` is called, by any thread, when an answer came. `again` says that the rows were sent before.
    `describes` says whether descriptors may come with the scores. They do only with a first try: who wants them must
    not have to wait for another.
    """

    def __init__(
        self,
        submit: Submit,
        spec: ModelSpec,
        rows: Tiles | Descriptors,
        batch_tiles: int,
        deadline: Deadline,
        wake: Callable[[], None],
        *,
        patient: bool,
        describes: bool = False,
        again: bool = False,
    ) -> None:
        self.scores: npt.NDArray[np.int32] | None = None
        self.descriptors: Descriptors | None = None
        self.fault: StripwatchError | None = None
        self.describes = describes
        self._submit = submit
        self._model = spec.ref
        self._meter = sending(spec.kind, spec.ref)
        self._again = again
        most = max(1, min(batch_tiles, REQUEST_BYTES // rows[0].nbytes))
        self._parts = [rows[at : at + most] for at in range(0, len(rows), most)]
        self._deadline = deadline
        self._wake = wake
        self._patient = patient
        self._waits = backoff(0.02, 0.5)
        self._not_found = 0
        self._overloaded: Overloaded | None = None
        self._again_at: float | None = None
        self._pending: Sequence[Pending] = ()
        self._send()

    def poll(self) -> bool:
        """Whether it is over: there are scores, or a fault."""
        if self.scores is not None or self.fault is not None:
            return True
        if self._again_at is not None:
            if time.monotonic() < self._again_at:
                return False
            self._again_at = None
            self._send()
        elif all(pending.done() for pending in self._pending):
            self._take()
        return self.scores is not None or self.fault is not None

    def cancel(self) -> None:
        for pending in self._pending:
            pending.cancel()

    def _send(self) -> None:
        try:
            left = self._deadline.check(f"scores of {self._model}")
            self._pending = [self._submit(part, left) for part in self._parts]
            for part, pending in zip(self._parts, self._pending, strict=True):
                pending.when_done(self._wake)
                self._meter.sent(len(part), again=self._again)
            self._again = True
        except StripwatchError as error:
            self._try_later(error)

    def _take(self) -> None:
        try:
            scores = np.concatenate([pending.result() for pending in self._pending])
            if self.describes:
                self.descriptors = np.concatenate([pending.descriptors() for pending in self._pending])
            self.scores = scores
        except StripwatchError as error:
            self.cancel()
            self._try_later(error)

    def _try_later(self, error: StripwatchError) -> None:
        """Waits before the next try, unless the fault is not of the kind that passes or the time is up."""
        self.describes = False
        wait = next(self._waits)
        if isinstance(error, Overloaded):
            self._overloaded = error
            wait = max(wait, error.retry_after_s * random.uniform(1.0, 1.5))
        again = isinstance(error, TEMPORARY)
        if isinstance(error, NotFound):
            self._not_found += 1
            again, wait = self._not_found < NOT_FOUND_TRIES, 0.0
        if again and self._patient and wait < self._deadline.left():
            self._again_at = time.monotonic() + wait
        else:
            # Time that went by in a busy service's refusals says that it is busy, not that it is away.
            self.fault = self._overloaded if self._overloaded and isinstance(error, DeadlineExceeded) else error
