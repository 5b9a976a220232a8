"""What every service says of itself, and what those that speak to Redis have in common."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from prometheus_client import Counter, Gauge

BUILD_INFO = Gauge("stripwatch_build_info", "1 for the version of stripwatch that runs", ["service", "version"])
READY = Gauge("stripwatch_ready", "Whether the service is ready, as its health says (1 or 0)", ["service"])
SERVED_REQUESTS = Counter(
    "stripwatch_served_requests", "Calls of our own services that were answered, by gRPC status", ["method", "code"]
)
REDIS_RETRIES = Counter(
    "stripwatch_redis_retries", "Times that work was tried again because Redis did not take it", ["service"]
)
DEAD_LETTERS = Counter("stripwatch_dead_letters", "Entries moved to the dead stream", ["line"])


def introduce(service: str, ready: Callable[[], bool]) -> None:
    """Says which service this process is; `ready` is asked whenever the page is read."""
    BUILD_INFO.labels(service, version("stripwatch")).set(1)
    READY.labels(service).set_function(lambda: float(ready()))


class ServedCalls:
    """Counts what became of calls; those of methods that there are, so that a caller cannot make up new ones."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Counter] = {}

    def answered(self, method: str, code: str) -> None:
        """`method` as gRPC has it, `code` its status by name; CANCELLED for a stream that its caller left."""
        known = self._known.get((method, code))
        if known is None:
            known = self._known[method, code] = SERVED_REQUESTS.labels(method.removeprefix("/"), code)
        known.inc()
