"""Sends runs into a line: within its byte budget, and with every frame that is held back declared."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from stripwatch.domain.frame import Frame, RunId
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.errors import BadInput, StreamFull, StreamUnavailable
from stripwatch.feed.account import RunAccount
from stripwatch.feed.gate import AWAY, FULL, STOPPED, TORN, Gate
from stripwatch.feed.outbox import Outbox
from stripwatch.feed.rules import FeedRules
from stripwatch.ports import Kind, LineStream, Outgoing
from stripwatch.rpc.codec.frames import encode_end, encode_header, encode_start
from stripwatch.runtime import tracing
from stripwatch.runtime.deadline import Deadline, backoff
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.runtime.metrics.feed import FeedMeter
from stripwatch.runtime.tracing import NOTHING, Span

log = logging.getLogger(__name__)

LONGEST_NS = 3_600_000_000_000
"""A live frame that was captured longer ago is of a camera without a clock."""


class Publisher:
    """One source's way into a line.

    A live source is never made to wait: what the stream does not take is kept in a bounded buffer, and the newest
    frames are shed beyond it, as ranges with a reason in the camera's end. A replay waits instead. Starts and ends
    are never given up before `close` has tried for as long as a run may be idle.
    """

    def __init__(
        self,
        line: LineStream,
        rules: FeedRules,
        lifecycle: Lifecycle,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line = line.line
        self._rules = rules
        self._lifecycle = lifecycle
        self._clock = clock
        self._gate = Gate(line.source, rules, clock)
        self._meter = FeedMeter(line.line)
        self._outbox = Outbox(line.source, rules, self._meter)
        self._accounts: dict[RunId, RunAccount] = {}
        self._flushed_at = -1e9
        self._trouble = ""
        self._waits = backoff(limit=1.0)
        self._not_before = -1e9
        self._holding = ""
        self.sent = 0
        self.shed = 0

    def start(self, start: RunStart) -> bool:
        """Opens a run; waits while the line is draining. False if told to stop meanwhile."""
        if self._gate.draining():
            log.info("line is draining, no new run starts", extra={"line": self._line})
        while self._gate.draining():
            self.flush()  # ends of runs before, which the draining waits for
            if not self._lifecycle.sleep(0.1):
                return False
        facts = tracing.of_run(start.run)
        account = self._accounts[start.run] = RunAccount(start, tracing.begin("run", facts=facts))
        span = tracing.sent(account.span.child, "frames", Kind.START, facts)
        self._outbox.put(Outgoing(Kind.START, start.run, encode_start(start), trace=span.context), start, span)
        self._push()
        return True

    def frame(self, frame: Frame) -> None:
        """Sends a frame, or declares it shed."""
        header = frame.header
        account = self._account(header.run)
        camera = account.camera(header.camera)
        if camera.torn:
            reason = TORN
        else:
            reason = self._why_not(len(frame.pixels)) if self._rules.live else self._wait_for_room()
        if reason:
            camera.held_back(header.index, reason)
            self.shed += 1
            self._meter.shed()
        else:
            camera.took(header.index)
            self._gate.took(len(frame.pixels))
            span = self._span(frame, account) if tracing.is_sampled() else NOTHING
            entry = Outgoing(Kind.FRAME, header.run, encode_header(header), frame.pixels, span.context)
            self._outbox.put(entry, span=span)
            self.sent += 1
        if len(self._outbox) >= self._rules.batch_frames or self._clock() - self._flushed_at >= self._rules.batch_s:
            self._push()

    def end(self, end: CameraEnd) -> None:
        """Ends a camera; what was held back here is added to what the source declares."""
        account = self._account(end.run)
        self._put_end(account.end(end))
        self._push()
        for run in [run for run, other in self._accounts.items() if other.complete and self._outbox.settled(run)]:
            self._accounts.pop(run).span.end()

    def flush(self) -> bool:
        """Sends what waits; False if the stream did not take all of it (or not long ago did not)."""
        if self._clock() < self._not_before:
            return not len(self._outbox)
        try:
            while len(self._outbox):
                self._outbox.send()
        except (StreamUnavailable, StreamFull) as trouble:
            if not self._trouble:
                log.warning("the stream takes nothing", extra={"line": self._line, "reason": str(trouble)})
            self._trouble = FULL if isinstance(trouble, StreamFull) else AWAY
            self._not_before = self._clock() + next(self._waits)
            self._meter.tries_again()
            return False
        if self._trouble:
            log.info("the stream takes frames again", extra={"line": self._line})
            self._trouble, self._waits = "", backoff(limit=1.0)
        self._flushed_at = self._clock()
        return True

    def close(self, patience_s: float) -> None:
        """Declares runs in progress as cut short and delivers all that waits; StreamUnavailable names what is left."""
        for account in self._accounts.values():
            for end in account.cut_short():
                self._put_end(end)
        deadline = Deadline.after(min(patience_s, self._rules.run_deadline_s))
        while not self.flush():
            if not deadline.left():
                left = ", ".join(f"{count} {kind}" for kind, count in self._outbox.waiting().items())
                raise StreamUnavailable(f"line {self._line}: {self._trouble}, these were not delivered: {left}")
            time.sleep(0.02)
        for account in self._accounts.values():
            account.span.end()
        self._accounts.clear()

    def _account(self, run: RunId) -> RunAccount:
        try:
            return self._accounts[run]
        except KeyError:
            raise BadInput(f"run {run}: expected its start before its frames and ends") from None

    def _put_end(self, end: CameraEnd) -> None:
        facts = {**tracing.of_run(end.run), "stripwatch.camera": end.camera, "stripwatch.frames": end.frames}
        span = tracing.sent(self._account(end.run).span.child, "frames", Kind.END, facts)
        self._outbox.put(Outgoing(Kind.END, end.run, encode_end(end), trace=span.context), span=span)

    def _span(self, frame: Frame, account: RunAccount) -> Span:
        """The first of a frame's trace; of a live frame it begins with the capture, which in a replay was long ago."""
        facts = {**tracing.of_frame(frame.header), "messaging.message.body.size": len(frame.pixels)}
        age_ns = time.time_ns() - frame.header.captured_at_ns
        captured = frame.header.captured_at_ns if self._rules.live and 0 <= age_ns < LONGEST_NS else None
        return tracing.sent(tracing.begin, "frames", Kind.FRAME, facts, links=[account.span.context], at_ns=captured)

    def _push(self) -> None:
        """A live source tries once, a replay until the stream took it all or it is told to stop."""
        while not self.flush() and not self._rules.live:
            if not self._wait(max(0.0, self._not_before - self._clock()), self._trouble):
                return

    def _wait(self, seconds: float, reason: str) -> bool:
        """Waits for a reason; False if told to stop."""
        since = self._clock()
        going_on = self._lifecycle.sleep(seconds)
        if reason == FULL:
            self._meter.blocked(self._clock() - since)
        return going_on

    def _why_not(self, size: int) -> str:
        """Why a live frame of that many bytes cannot go out now; empty if it can."""
        if self._clock() >= self._not_before:
            reason = self._gate.reason()
            if reason:
                return self._hold(reason)
        if self._outbox.bytes + size > self._rules.buffer_bytes:
            return self._hold(self._trouble or FULL)
        return self._hold("")

    def _wait_for_room(self) -> str:
        """Waits until frames may go out; a reason only when told to stop meanwhile."""
        waits = backoff(limit=0.5)
        while reason := self._gate.reason():
            self._hold(reason)
            self._push()
            if not self._wait(next(waits), reason):
                return STOPPED
        return self._hold("")

    def _hold(self, reason: str) -> str:
        if reason != self._holding:
            action = "shedding frames" if self._rules.live else "waiting"
            told = {"line": self._line, "reason": reason or "room again", "gate": str(self._gate)}
            log.info(action if reason else "going on", extra=told)
            self._holding = reason
        return reason
