"""Tiles out to both model services, scores back: in batches, several at a time, tried again while a service is away."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from functools import partial

from stripwatch.domain.recipe import Role
from stripwatch.errors import BadInput, DeadlineExceeded, NotFound, Overloaded, StripwatchError, Unavailable
from stripwatch.ports import Descriptors, Scorer
from stripwatch.runtime.deadline import Deadline
from stripwatch.runtime.logging import of_run
from stripwatch.runtime.metrics.frames import BATCH_WAIT_SECONDS
from stripwatch.runtime.metrics.scores import TILE_SCORES
from stripwatch_preprocess.ask import TEMPORARY, Ask, Submit
from stripwatch_preprocess.batch import Batch, Job, Refused, Settled, Stranded
from stripwatch_preprocess.hand import Ticket
from stripwatch_preprocess.relay import Relay

log = logging.getLogger(__name__)

MOST_FAILURES = 3
"""A frame that a service fails on alone this often, with another error than that it is away, is at fault itself."""
MOST_SLOW = 3
"""A service that the recipe can do without counts as away when it lets a batch's budget run out this often. Once is
not enough: whether a strip's tiles have their scores must not depend on how busy the machine was."""


class Dispatch:
    """Jobs go in by `add`, out by `poll`. Nothing here waits.

    A batch whose required service stays away rests and is tried again: the caller keeps its frames. Those of a live
    run are given up after `patience_seconds`, so that the run can end; those of a replay wait for ever.
    """

    def __init__(
        self,
        scorers: Mapping[Role, Scorer],
        *,
        batch_tiles: int,
        in_flight: int,
        request_seconds: float,
        patience_seconds: float,
    ) -> None:
        self._scorers = scorers
        self._batch_tiles = batch_tiles
        self._in_flight = in_flight
        self._request_seconds = request_seconds
        self._patience_seconds = patience_seconds
        self._queues: dict[tuple[object, ...], deque[Job]] = {}
        self._alone: deque[Job] = deque()
        self._active: list[Batch] = []
        self._resting: list[Batch] = []
        self._away: set[Role] = set()
        self._news = threading.Event()

    def add(self, job: Job, *, alone: bool) -> None:
        """Takes a frame with one tile or more; `alone` gives it a batch of its own."""
        if alone:
            self._alone.append(job)
        else:
            self._queues.setdefault(job.frame.plan.key, deque()).append(job)

    @property
    def busy(self) -> bool:
        """Whether anything is queued or under way; what rests is not."""
        return bool(self._queues or self._alone or self._active)

    def rests(self, ticket: Ticket) -> bool:
        """Whether a frame waits for a service that is away."""
        return any(job.ticket is ticket for batch in self._resting for job in batch.jobs)

    @property
    def resting(self) -> list[Ticket]:
        """Frames that wait for a service that is away."""
        return [job.ticket for batch in self._resting for job in batch.jobs]

    def send(self, *, partial: bool) -> None:
        """Starts batches while there is room; half-full ones only if `partial`."""
        while len(self._active) < self._in_flight and (batch := self._next(partial)) is not None:
            deadline = Deadline.after(self._request_seconds)  # one budget for both services
            if not batch.rests_until:
                BATCH_WAIT_SECONDS.observe(time.monotonic() - batch.jobs[0].cut_at)
            batch.trace()
            batch.asks = self._asks(batch, deadline)
            self._active.append(batch)

    def poll(self) -> list[Settled]:
        """What has become of jobs since the last call."""
        over = [batch for batch in self._active if batch.poll()]
        self._active = [batch for batch in self._active if batch not in over]
        return [settled for batch in over for settled in self._conclude(batch)]

    def wait(self, seconds: float) -> None:
        """Until an answer comes, and no longer than that; those that came since the last wait count."""
        self._news.wait(seconds)
        self._news.clear()

    def cancel(self) -> None:
        """Drops everything."""
        for batch in self._active:
            for ask in batch.asks.values():
                ask.cancel()
        self._active, self._resting, self._queues = [], [], {}
        self._alone.clear()

    def _next(self, partial: bool) -> Batch | None:
        now = time.monotonic()
        for batch in self._resting:
            if batch.rests_until <= now:
                self._resting.remove(batch)
                return batch
        if self._alone:
            return Batch([self._alone.popleft()])
        for key, queue in self._queues.items():
            if partial or sum(len(job.frame.tiles) for job in queue) >= self._batch_tiles:
                batch = Batch(self._fill(queue))
                if not queue:
                    del self._queues[key]
                return batch
        return None

    def _fill(self, queue: deque[Job]) -> list[Job]:
        jobs = [queue.popleft()]
        tiles = len(jobs[0].frame.tiles)
        while queue and tiles + len(queue[0].frame.tiles) <= self._batch_tiles:
            jobs.append(queue.popleft())
            tiles += len(jobs[-1].frame.tiles)
        return jobs

    def _asks(self, batch: Batch, deadline: Deadline) -> dict[Role, Ask | Relay]:
        """Both services at once by tiles, or the anomaly scorer by what the classifier says of them."""
        if batch.relays and Role.CLASSIFIER not in self._away:
            classifier = self._ask(batch, deadline, Role.CLASSIFIER, describes=True)
            relay = Relay(classifier, partial(self._ask, batch, deadline, Role.ANOMALY))
            return {Role.CLASSIFIER: classifier, Role.ANOMALY: relay}
        return {role: self._ask(batch, deadline, role) for role in batch.missing()}

    def _ask(
        self,
        batch: Batch,
        deadline: Deadline,
        role: Role,
        descriptors: Descriptors | None = None,
        *,
        describes: bool = False,
    ) -> Ask:
        """Asks by the tiles, unless there are descriptors of them."""
        # One that is away and can be done without gets one try, so that it does not hold up the other.
        patient = role in batch.plan.recipe.required or role not in self._away
        scorer, spec = self._scorers[role], batch.plan.specs[role]
        submit: Submit = partial(scorer.submit, spec, descriptors=describes, trace=batch.span.context)
        if descriptors is not None:
            submit = partial(scorer.submit_descriptors, spec, trace=batch.span.context)
        rows = batch.tiles(role) if descriptors is None else descriptors
        return Ask(
            submit,
            spec,
            rows,
            self._batch_tiles,
            deadline,
            self._news.set,
            patient=patient,
            describes=describes,
            again=bool(batch.rests_until),
        )

    def _conclude(self, batch: Batch) -> list[Settled]:
        asked = set(batch.asks)
        faults = batch.collect()
        batch.span.end("; ".join(str(fault) for fault in faults.values()))
        self._note(asked, faults)
        if any(isinstance(fault, NotFound) for fault in faults.values()):
            return [Stranded(job) for job in batch.jobs]
        lasting = [fault for fault in faults.values() if not isinstance(fault, TEMPORARY)]
        if lasting and len(batch.jobs) > 1:
            told = {**of_run(batch.jobs[0].ticket.entry.run), "frames": len(batch.jobs), "reason": str(lasting[0])}
            log.warning("a batch was refused, each of its frames goes alone", extra=told)
            self._alone.extend(batch.jobs)
            return []
        batch.failures += bool(lasting)
        for fault in lasting:
            if isinstance(fault, BadInput) or batch.failures >= MOST_FAILURES:
                return [Refused(batch.jobs[0], str(fault))]
        if lasting or self._must_wait(batch, faults):
            if batch.plan.live and time.monotonic() - batch.since > self._patience_seconds:
                reason = f"given up after {self._patience_seconds:g} s: {next(iter(faults.values()))}"
                return [Refused(job, reason) for job in batch.jobs]
            batch.rest()
            self._resting.append(batch)
            return []
        for role, scores in batch.scores.items():
            TILE_SCORES.saw(batch.plan.specs[role], scores)
        return batch.scored()

    def _must_wait(self, batch: Batch, faults: Mapping[Role, StripwatchError]) -> bool:
        """Whether a fault keeps the frames from being judged now.

        A service that is overloaded or slow is there: its scores are waited for even where the recipe could do without.
        """
        required = batch.plan.recipe.required
        slow = [role for role, fault in faults.items() if isinstance(fault, DeadlineExceeded)]
        batch.slow += bool(slow)
        if any(role in required or isinstance(fault, Overloaded) for role, fault in faults.items()):
            return True
        if batch.slow < MOST_SLOW and any(role not in self._away for role in slow):
            return True
        for role in slow:
            self._gone(role, faults[role])
        return not batch.scores

    def _note(self, asked: set[Role], faults: Mapping[Role, StripwatchError]) -> None:
        """Says once that a service went away, and once that it is back."""
        for role in asked:
            fault = faults.get(role)
            if isinstance(fault, Unavailable):
                self._gone(role, fault)
            elif fault is None and role in self._away:
                self._away.discard(role)
                log.info("%s is back", role.value, extra={"peer": role.value})

    def _gone(self, role: Role, fault: StripwatchError) -> None:
        if role not in self._away:
            self._away.add(role)
            log.warning("%s is away", role.value, extra={"peer": role.value, "reason": str(fault)})
