"""Requests to the model services, as the worker that sends them sees them."""

from __future__ import annotations

import time
from functools import cache

from prometheus_client import Counter, Histogram

from stripwatch.domain.model import ModelKind, ModelRef
from stripwatch.domain.recipe import Role
from stripwatch.runtime.metrics.buckets import SECONDS, TILES

REQUESTS = Counter("stripwatch_requests", "Requests to a model service, by gRPC status", ["service", "code"])
REQUEST_SECONDS = Histogram(
    "stripwatch_request_seconds",
    "Time from sending a request until its answer, or its end",
    ["service"],
    buckets=SECONDS,
)
REQUEST_RETRIES = Counter("stripwatch_request_retries", "Requests that were sent again", ["service"])
REQUEST_TILES = Histogram("stripwatch_request_tiles", "Tiles in a request to a model service", ["model"], buckets=TILES)

_CODES = ("OK", "DEADLINE_EXCEEDED", "UNAVAILABLE", "RESOURCE_EXHAUSTED")
"""There from the start: what is counted first would not show as a change."""


class Sending:
    """What is sent to one model of a service."""

    def __init__(self, kind: ModelKind, model: ModelRef) -> None:
        self._tiles = REQUEST_TILES.labels(str(model))
        self._retries = REQUEST_RETRIES.labels(kind.value)

    def sent(self, tiles: int, *, again: bool) -> None:
        """A request with so many tiles, or their descriptors."""
        self._tiles.observe(tiles)
        if again:
            self._retries.inc()


@cache
def sending(kind: ModelKind, model: ModelRef) -> Sending:
    """Made once for each model."""
    return Sending(kind, model)


class RequestMeter:
    """What becomes of the requests to one service."""

    def __init__(self, role: Role) -> None:
        self._service = role.value
        self._seconds = REQUEST_SECONDS.labels(role.value)
        self._codes = {code: REQUESTS.labels(role.value, code) for code in _CODES}
        REQUEST_RETRIES.labels(role.value)

    def answered(self, code: str, sent_at: float) -> None:
        """`code` is the gRPC status by name; `sent_at` in monotonic seconds."""
        self._seconds.observe(time.monotonic() - sent_at)
        known = self._codes.get(code)
        if known is None:
            known = self._codes[code] = REQUESTS.labels(self._service, code)
        known.inc()
