"""Sends one shipment into the line, and writes down what the line acknowledged."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeVar

from chaos.plan import Shipment
from chaos.strips import LINE, LIVE_DEADLINE_S, POOL
from stripwatch.domain.frame import Frame, RunId
from stripwatch.errors import Conflict, StreamFull, StreamUnavailable, StripwatchError
from stripwatch.feed import FeedRules, Publisher
from stripwatch.ports import Kind, LineStream, Outgoing, Stream
from stripwatch.rpc.codec.frames import encode_end, encode_header, encode_start
from stripwatch.runtime.lifecycle import Lifecycle

Result = TypeVar("Result")


@dataclass(slots=True)
class Sent:
    """What became of a shipment, as its sender knows it."""

    shipment: Shipment
    run: RunId
    started: bool = False
    """Whether the start was acknowledged."""
    frames: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Acknowledged frames, and how often each was sent."""
    tried: set[tuple[str, int]] = field(default_factory=set)
    """All frames that may be there, acknowledged or not."""
    ended: set[str] = field(default_factory=set)
    shed: set[tuple[str, int]] = field(default_factory=set)
    again: int = 0
    """How often the run had to be started anew because the stream had lost it."""
    started_s: float = 0.0
    """When its start was on its way (monotonic)."""
    trouble: str = ""
    """Why it could not be sent to its end."""


class Feeder(threading.Thread):
    """A source of its own. Crooked shipments are sent bare, each word until it is acknowledged."""

    def __init__(self, shipment: Shipment, connect: Callable[[], Stream], began: float, give_up: float) -> None:
        super().__init__(name=shipment.run, daemon=True)
        self.strip = POOL[shipment.strip]
        self.sent = Sent(shipment, RunId(LINE, shipment.strip, shipment.run))
        self._connect = connect
        self._began = began
        self._give_up = give_up

    def run(self) -> None:
        try:
            _wait_until(self._began + self.sent.shipment.begins_s)
            self.sent.started_s = time.monotonic()
            with closing(self._until_taken(self._connect)) as stream:
                line: LineStream = self._until_taken(lambda: stream.line(LINE))
                if self.sent.shipment.way == "straight":
                    self._publish(line)
                else:
                    self._send(line)
        except StripwatchError as error:
            self.sent.trouble = str(error)
        except TimeoutError as error:
            self.sent.trouble = f"gave up: {error}"

    def _steps(self) -> list[tuple[float, str, str]]:
        shipment = self.sent.shipment
        pause = shipment.lasts_s / max(1, len(shipment.order))
        begins = self._began + shipment.begins_s
        words = [what.split() for what in shipment.order]
        return [(begins + place * pause, camera, what) for place, (camera, what) in enumerate(words)]

    def _publish(self, line: LineStream) -> None:
        """By the publisher that every source uses."""
        sent, run, live = self.sent, self.sent.run, self.sent.shipment.live
        rules = FeedRules(live=live, run_deadline_s=LIVE_DEADLINE_S)
        publisher = Publisher(line, rules, Lifecycle())
        publisher.start(self.strip.start(run, live=live))
        frames: Counter[tuple[str, int]] = Counter()
        for due, camera, what in self._steps():
            _wait_until(due)
            if what == "end":
                publisher.end(self.strip.end(run, camera))
                sent.ended.add(camera)
                continue
            held_back, index = publisher.shed, int(what)
            sent.tried.add((camera, index))
            publisher.frame(Frame(self.strip.header(run, camera, index), self.strip.pixels(camera, index)))
            if publisher.shed > held_back:
                sent.shed.add((camera, index))
            else:
                frames[camera, index] += 1
        if self.strip.ended:
            publisher.close(20.0)
        else:
            self._until_taken(lambda: _flushed(publisher))
        sent.started, sent.frames = True, frames

    def _send(self, line: LineStream) -> None:
        sent, run = self.sent, self.sent.run
        self._until_taken(lambda: self._start(line))
        sent.started = True
        for due, camera, what in self._steps():
            _wait_until(due)
            if what == "end":
                out = Outgoing(Kind.END, run, encode_end(self.strip.end(run, camera)))
            else:
                body = encode_header(self.strip.header(run, camera, int(what)))
                out = Outgoing(Kind.FRAME, run, body, self.strip.pixels(camera, int(what)))
                sent.tried.add((camera, int(what)))
            self._until_taken(lambda out=out: self._put(line, out))  # type: ignore[misc]
            if what == "end":
                sent.ended.add(camera)
            else:
                sent.frames[camera, int(what)] += 1

    def send_late(self, line: LineStream) -> int:
        """Frames of a run that has its verdict; how many were acknowledged."""
        run, camera = self.sent.run, self.strip.cameras[0]
        indices = self.strip.indices()[: self.sent.shipment.late]
        for index in indices:
            out = Outgoing(
                Kind.FRAME,
                run,
                encode_header(self.strip.header(run, camera, index)),
                self.strip.pixels(camera, index),
            )
            line.source.publish([out])
            self.sent.frames[camera, index] += 1
        return len(indices)

    def _start(self, line: LineStream) -> None:
        start, shipment = self.strip.start(self.sent.run, live=self.sent.shipment.live), self.sent.shipment
        deadline_ms = round(LIVE_DEADLINE_S * 1000)
        line.source.start_run(
            self.sent.run,
            encode_start(start),
            cameras=list(self.strip.cameras),
            live=shipment.live,
            deadline_ms=deadline_ms,
        )

    def _put(self, line: LineStream, out: Outgoing) -> None:
        try:
            line.source.publish([out])
        except Conflict:  # the stream came back without the run
            self.sent.again += 1
            self._start(line)
            ends = [Outgoing(Kind.END, out.run, encode_end(self.strip.end(out.run, one))) for one in self.sent.ended]
            line.source.publish([*ends, out])

    def _until_taken(self, act: Callable[[], Result]) -> Result:
        """Tries until the stream took it; TimeoutError when there is no more time."""
        while True:
            try:
                return act()
            except (StreamUnavailable, StreamFull) as error:
                if time.monotonic() > self._give_up:
                    raise TimeoutError(str(error)) from error
                time.sleep(0.1)


def _flushed(publisher: Publisher) -> None:
    if not publisher.flush():
        raise StreamUnavailable("the publisher still holds frames")


def _wait_until(due: float) -> None:
    time.sleep(max(0.0, due - time.monotonic()))
