"""A source's hold on its line: replays and live sources exclude each other while it lasts."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from types import TracebackType

from stripwatch.errors import Conflict, Overloaded, StreamUnavailable, StripwatchError, Unavailable
from stripwatch.feed.naming import safe_name
from stripwatch.ports import LineStream
from stripwatch.runtime.deadline import insist

log = logging.getLogger(__name__)

TTL_MS = 15_000


def owner_name() -> str:
    """A name for this process that no other has."""
    return safe_name(f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(3)}")


class Hold:
    """Takes the line on entry, renews it and the source's heartbeat in the background, gives it back on exit.

    Entering raises Conflict where a source of the other kind has the line; `check` does where one took it meanwhile.
    A stream that is away is tried again for as long as `patient` waits the seconds it is given and says True.
    """

    def __init__(
        self,
        line: LineStream,
        owner: str,
        *,
        live: bool,
        stage: str,
        ttl_ms: int = TTL_MS,
        patient: Callable[[float], bool] = lambda _wait: False,
    ) -> None:
        self._line = line
        self._owner = owner
        self._live = live
        self._stage = stage
        self._ttl_ms = ttl_ms
        self._patient = patient
        self._lost: Conflict | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="hold", daemon=True)

    def __enter__(self) -> Hold:
        insist(self._take, StreamUnavailable, self._patient)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        try:
            self._line.source.release(self._owner)
        except Unavailable:
            log.warning("could not give the line back; it is free after a while", extra={"line": self._line.line})

    def check(self) -> None:
        """Conflict if the line is no longer ours."""
        if self._lost is not None:
            raise self._lost

    def _take(self) -> None:
        self._line.source.hold(self._owner, live=self._live, ttl_ms=self._ttl_ms)
        try:
            self._line.beats.beat(self._stage, self._owner, self._ttl_ms)
        except Overloaded as error:  # a full Redis: frames will wait or be shed, and say so
            log.warning("no heartbeat", extra={"line": self._line.line, "reason": str(error)})

    def _renew(self) -> None:
        while not self._done.wait(self._ttl_ms / 3000):
            try:
                self._take()
            except Conflict as error:
                self._lost = error
                return
            except StripwatchError as error:
                log.debug("could not renew the hold", extra={"line": self._line.line, "reason": str(error)})
