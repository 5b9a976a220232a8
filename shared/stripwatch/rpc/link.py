"""The way to one service, for as long as its client lives: over TLS it moves to a new channel with new certificates."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import grpc

from stripwatch.rpc.channel import open_channel
from stripwatch.rpc.limits import PROBE_MS
from stripwatch.runtime.fresh import Fresh
from stripwatch.runtime.tls import Pems, TlsFiles

LONGEST_CALL_S = 120.0
"""A channel that was left is closed after this long: what was under way on it has come to its deadline."""

T = TypeVar("T")


class Link(Generic[T]):
    """The channel to an address, plain or over TLS, and what `bind` makes of it: the stubs.

    SettingsInvalid if the files for TLS cannot be used. `probe_ms` as of `open_channel`.
    """

    def __init__(
        self, address: str, tls: TlsFiles | None, bind: Callable[[grpc.Channel], T], probe_ms: int = PROBE_MS
    ) -> None:
        self._address = address
        self._bind = bind
        self._probe_ms = probe_ms
        self._fresh: Fresh[Pems] | None = Fresh("files for TLS", tls.read) if tls else None
        self._pems = self._fresh.now() if self._fresh else None
        self._left: deque[tuple[float, grpc.Channel]] = deque()
        self._lock = threading.Lock()
        self._open()

    def now(self) -> T:
        """What to make the next call with."""
        with self._lock:
            if self._fresh:
                self._renew(self._fresh.now())
            return self._bound

    def _open(self) -> None:
        self._channel = open_channel(self._address, self._pems, self._probe_ms)
        self._bound = self._bind(self._channel)  # at once: gRPC's stubs cannot be made on a channel that is closed

    def _renew(self, pems: Pems) -> None:
        at = time.monotonic()
        if pems != self._pems:
            self._pems = pems
            self._left.append((at, self._channel))
            self._open()
        while self._left and at - self._left[0][0] > LONGEST_CALL_S:
            self._left.popleft()[1].close()

    def close(self) -> None:
        with self._lock:
            self._fresh = None
            for channel in (self._channel, *(left for _, left in self._left)):
                channel.close()
