"""preprocess: the loop that turns a line's frames into frame results."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from stripwatch.errors import BadInput, DeadlineExceeded, Overloaded, StripwatchError, Unavailable
from stripwatch.ports import Kind, LineStream, Stream
from stripwatch.rpc.codec.results import encode_result
from stripwatch.runtime import tracing
from stripwatch.runtime.deadline import Deadline, backoff
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.runtime.logging import of_run
from stripwatch.runtime.metrics.frames import meter_of
from stripwatch.runtime.metrics.service import REDIS_RETRIES
from stripwatch_preprocess.batch import Job, Refused, Scored, Settled
from stripwatch_preprocess.clock import StreamClock
from stripwatch_preprocess.course import course
from stripwatch_preprocess.dispatch import Dispatch
from stripwatch_preprocess.entry import check, failed_body, header_of, told_of
from stripwatch_preprocess.hand import Hand, Ticket
from stripwatch_preprocess.intake import BUSY_S, Intake
from stripwatch_preprocess.judge import judged, too_late
from stripwatch_preprocess.plans import Plans
from stripwatch_preprocess.settings import PreprocessSettings
from stripwatch_preprocess.transform import transform

log = logging.getLogger(__name__)

STAGE = "preprocess"
BEAT_EVERY_S = 3.0
BEAT_TTL_MS = 10_000
LATER_S = 0.25


class Preprocess:
    """Turns frames into frame results: take, open, judge, publish; an entry is acked only with its outcome."""

    def __init__(
        self,
        stream: Stream,
        plans: Plans,
        dispatch: Dispatch,
        settings: PreprocessSettings,
        lifecycle: Lifecycle,
        consumer: str,
    ) -> None:
        self.stream = stream
        self.plans = plans
        self.dispatch = dispatch
        self.settings = settings
        self.lifecycle = lifecycle
        self.consumer = consumer
        self.hand = Hand(consumer, settings.claim_idle_seconds / 3)
        self.lines: Sequence[LineStream] = ()
        self.clocks = {name: StreamClock() for name in settings.lines}
        self.retries = REDIS_RETRIES.labels(STAGE)
        for name in settings.lines:
            meter_of(name)
        self._aside: list[tuple[float, Ticket]] = []
        self._suspect: Ticket | None = None
        self._beat_at = 0.0

    def run(self) -> None:
        """Works until told to stop; waits out a stream that does not answer, with all that is in hand."""
        waits, away = backoff(), False
        intake: Intake | None = None
        while self.lifecycle.running:
            try:
                intake = intake or self.open_lines()
                self.step(intake)
            except (Unavailable, Overloaded, DeadlineExceeded) as error:
                if not away:
                    log.warning("the stream is away, trying again", extra={"reason": str(error)})
                away = True
                self.retries.inc()
                self._beat_at = 0.0  # the next Redis may be another, which never heard of us
                self.lifecycle.sleep(next(waits))
                continue
            if away:
                log.info("the stream is back")
                waits, away = backoff(), False
        self.stop()

    def open_lines(self) -> Intake:
        self.lines = [self.stream.line(name) for name in self.settings.lines]
        return Intake(
            self.lines,
            self.hand,
            self.consumer,
            prefetch=self.settings.prefetch,
            capacity=self.settings.prefetch * self.settings.in_flight,
            capacity_bytes=self.settings.hand_bytes,
            claim_idle_s=self.settings.claim_idle_seconds,
            wait=self.dispatch.wait,
        )

    def step(self, intake: Intake) -> None:
        """One round: say that we live, take entries, open one, send tiles, publish what came back.

        One at a time: an answer that came must not wait until sixteen frames are cut.
        """
        self.hand.publish()
        self.hand.keep()
        self.hand.excuse([*self.dispatch.resting, *(ticket for _, ticket in self._aside)])
        self.beat()
        if self.suspect_at_work():
            intake.wait()
        elif not intake.fresh:
            intake.take(busy=self.dispatch.busy)
        if intake.fresh:
            self.open(intake.fresh.popleft())
        self.reopen()
        for settled in self.dispatch.poll():
            self.conclude(settled)
        self.dispatch.send(partial=not intake.fresh)  # what waits to be cut is company that comes at once
        self.hand.publish()

    def beat(self) -> None:
        if time.monotonic() < self._beat_at:
            return
        for line in self.lines:
            line.beats.beat(STAGE, self.consumer, BEAT_TTL_MS)
            self.clocks[line.line].saw(line.runs.now_ms())
        self._beat_at = time.monotonic() + BEAT_EVERY_S

    def suspect_at_work(self) -> bool:
        """Whether an entry that was handed out before is being worked on; one that waits for a service is not."""
        suspect = self._suspect
        waits = any(ticket is suspect for _, ticket in self._aside)
        if suspect is None or suspect not in self.hand or waits or self.dispatch.rests(suspect):
            self._suspect = None
        return self._suspect is not None

    def open(self, ticket: Ticket) -> None:
        """Finds out what an entry is, and sends it on its way."""
        if ticket.entry.deliveries > 1:
            self._suspect = ticket
        with ticket.span.here():
            self._open(ticket)

    def _open(self, ticket: Ticket) -> None:
        entry = ticket.entry
        try:
            check(entry, self.settings.max_deliveries)
            if entry.kind is Kind.START:
                self.plans.begin(ticket.line.work, entry.run)
                self.hand.finish(ticket, Kind.START, entry.body)
            elif entry.kind is Kind.END:
                self.open_end(ticket)
            else:
                self.open_frame(ticket)
        except BadInput as error:
            self.bury(ticket, str(error))
        except (Unavailable, Overloaded, DeadlineExceeded) as error:
            self.set_aside(ticket, error)

    def open_end(self, ticket: Ticket) -> None:
        """An end goes out after its run was pinned: where there was no frame, its verdict would know no recipe."""
        try:
            self.plans.of(ticket.line.work, ticket.entry.run)
        except BadInput as error:
            log.debug("ends without a plan", extra={**of_run(ticket.entry.run), "reason": str(error)})
        self.hand.finish(ticket, Kind.END, ticket.entry.body)

    def set_aside(self, ticket: Ticket, error: StripwatchError) -> None:
        """Keeps an entry that cannot be worked on now; one of a live run that has waited too long is given up."""
        if not self.is_given_up(ticket):
            self._aside.append((time.monotonic() + LATER_S, ticket))
        elif ticket.entry.kind is Kind.FRAME:
            self.bury(ticket, f"given up after {self.settings.patience_seconds:g} s: {error}")
        else:  # the run must end all the same
            self.hand.finish(ticket, ticket.entry.kind, ticket.entry.body)

    def is_given_up(self, ticket: Ticket) -> bool:
        if time.monotonic() - ticket.taken_at <= self.settings.patience_seconds:
            return False
        try:
            return self.plans.is_live(ticket.line.work, ticket.entry.run)
        except StripwatchError:  # the stream is away as well: no time to decide anything
            return False

    def open_frame(self, ticket: Ticket) -> None:
        begun_at = time.monotonic()
        header = header_of(ticket.entry)
        plan = self.plans.of(ticket.line.work, header.run)
        if plan is None:
            self.hand.finish(ticket, Kind.RESULT, encode_result(too_late(header)))
            return
        if header.camera not in plan.cameras:
            raise BadInput(f"frame: expected one of camera {', '.join(sorted(plan.cameras))}, got {header.camera}")
        if ticket.span:
            ticket.span.note(tracing.of_frame(header))
        with ticket.span.child("cut"):
            frame = transform(header, ticket.entry.pixels, plan)
        if frame.tiles:
            job = Job(ticket, frame, begun_at, ticket.span.child("models"))
            self.dispatch.add(job, alone=ticket.entry.deliveries > 1)
        else:
            self.conclude(Scored(Job(ticket, frame, begun_at), {}))

    def reopen(self) -> None:
        """Tries again what was set aside because a service was away."""
        now = time.monotonic()
        for ticket in [ticket for at, ticket in self._aside if at <= now]:
            if self.suspect_at_work():
                return
            self._aside = [(at, other) for at, other in self._aside if other is not ticket]
            self.open(ticket)

    def conclude(self, settled: Settled) -> None:
        """Notes what became of a frame; one whose model is gone is opened again, with the model that is there now."""
        ticket = settled.job.ticket
        with ticket.span.here():
            self._conclude(ticket, settled)

    def _conclude(self, ticket: Ticket, settled: Settled) -> None:
        settled.job.span.end(settled.fault)
        if isinstance(settled, Scored):
            passed = course(settled.job, self.clocks[ticket.line.line])
            result = judged(settled.job.frame, settled.scores, self.settings.max_crops)
            self.hand.finish(ticket, Kind.RESULT, encode_result(result), passed)
        elif isinstance(settled, Refused):
            self.bury(ticket, settled.reason)
        else:
            self.plans.forget(ticket.entry.run)
            self._aside.append((time.monotonic() + LATER_S, ticket))

    def bury(self, ticket: Ticket, reason: str) -> None:
        """Notes that an entry is beyond help. A frame has its failed result, if it can be told which frame it is."""
        entry = ticket.entry
        log.error("to the dead stream", extra={**told_of(entry), "reason": reason})
        self.hand.bury(ticket, Kind.RESULT, failed_body(entry, reason), reason)

    def stop(self) -> None:
        """Takes nothing more, finishes what is under way, hands back the rest, leaves the group."""
        deadline = Deadline.after(self.settings.drain_seconds)
        while (self.dispatch.busy or self.hand.unpublished) and deadline.left() > 0:
            self.dispatch.send(partial=True)
            for settled in self.dispatch.poll():
                self.conclude(settled)
            try:
                self.hand.publish()
                self.hand.keep()
            except (Unavailable, Overloaded, DeadlineExceeded):
                time.sleep(LATER_S)
            self.dispatch.wait(BUSY_S)
        self.dispatch.cancel()
        try:
            count = self.hand.hand_back()
            for line in self.lines:
                line.frames.leave(self.consumer)
            log.info("stopped", extra={"handed_back": count})
        except StripwatchError as error:
            log.warning("stopped; others take over what was in hand", extra={"reason": str(error)})
