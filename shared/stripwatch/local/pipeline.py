"""The whole pipeline on this machine: Redis and every service as real processes, on free ports."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from stripwatch.domain.frame import RunId
from stripwatch.errors import DeadlineExceeded, StripwatchError
from stripwatch.local.child import Child, Sink, Spec
from stripwatch.local.ports import free_ports
from stripwatch.local.redis import redis_spec, wait_for_redis
from stripwatch.local.services import DRAIN_S, Plan, ingest_spec
from stripwatch.local.supervisor import Supervisor
from stripwatch.ports import LineStream, Published
from stripwatch.rpc import health
from stripwatch.runtime.settings import RedisSettings, TransportSettings, load
from stripwatch.stream import RedisStream, open_stream

STOP_ORDER = ("ingest", "preprocess", "aggregator", "classifier", "anomaly", "redis")
"""What feeds stops before what it feeds, so that nothing in flight is left behind."""

_POLL_S = 0.1


def _silent(_name: str, _line: str) -> None:
    """Output that nobody wants."""


class Pipeline:
    """Starts everything, waits until it is ready, keeps it alive, stops it in order.

    There is no thread: `tend` (which every wait here calls) starts again what ended.
    """

    def __init__(
        self,
        folder: Path,
        *,
        redis_url: str | None = None,
        lines: Sequence[str] = ("line1",),
        workers: int = 1,
        classifiers: int = 1,
        env: Mapping[str, str] | None = None,
        durable: bool = False,
        sink: Sink = _silent,
    ) -> None:
        names = [f"preprocess-{number + 1}" for number in range(workers)]
        names += ["aggregator", *(f"classifier-{number + 1}" for number in range(classifiers)), "anomaly"]
        redis_port, *ports = free_ports(1 + len(names))
        addresses = {name: f"127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)}
        self.redis_url = redis_url or f"redis://127.0.0.1:{redis_port}/0"
        self.plan = Plan(self.redis_url, tuple(lines), addresses, env or {})
        self.supervisor = Supervisor(sink)
        self._embedded = None if redis_url else redis_spec(folder, redis_port, durable=durable)
        self._stream: RedisStream | None = None
        self._feeds = 0

    @property
    def verdicts_address(self) -> str:
        """HOST:PORT of the Verdicts service."""
        return self.plan.addresses["aggregator"]

    def line(self, name: str | None = None) -> LineStream:
        """A line's streams; the first line's unless named."""
        self._stream = self._stream or open_stream(load(RedisSettings, redis_url=self.redis_url))
        return self._stream.line(name or self.plan.lines[0])

    def __enter__(self) -> Pipeline:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, timeout_s: float = 90.0) -> None:
        """Returns when every service is ready. StripwatchError with its last words if one refuses to start."""
        redis = self.supervisor.start(self._embedded) if self._embedded else None
        wait_for_redis(self.redis_url, redis, 30.0)
        for name in self.plan.addresses:
            self.supervisor.start(self.plan.spec(name))
        self.wait_ready(timeout_s)

    def wait_ready(self, timeout_s: float) -> None:
        """Waits until every service says SERVING; what it says itself, not whether its process runs."""
        deadline = time.monotonic() + timeout_s
        missing = dict(self.plan.addresses)
        tls = load(TransportSettings).tls
        pems = tls.read() if tls else None
        while missing:
            for name in list(missing):
                self._refuse_if_hopeless(self.supervisor.children[name])
                if health.status(missing[name], 0.5, pems=pems) == health.SERVING:
                    del missing[name]
            if missing and time.monotonic() > deadline:
                words = self.supervisor.last_words(missing)
                raise DeadlineExceeded(f"not ready after {timeout_s:g} s: {words}")
            if missing:
                self.tend()
                time.sleep(_POLL_S)

    def _refuse_if_hopeless(self, child: Child) -> None:
        """A service that fails while it starts (a refused setting, a missing module) would fail again."""
        if (child.code or 0) > 0:
            child.wait(1.0)  # for its last words
            raise StripwatchError(f"{child.spec.name} does not start: {child.last_words}")

    def tend(self) -> None:
        self.supervisor.tend()

    def sleep(self, seconds: float = _POLL_S) -> None:
        """Waits, and tends meanwhile."""
        self.tend()
        time.sleep(seconds)

    def stop(self) -> None:
        """Stops one kind after the other, each with time to finish what is in flight."""
        if self._stream:
            self._stream.close()
            self._stream = None
        for kind in STOP_ORDER:
            names = [name for name in self.supervisor.children if name.partition("-")[0] == kind]
            self.supervisor.stop(names, DRAIN_S + 5.0)

    def kill(self, name: str) -> None:
        """SIGKILL, and nobody starts it again but `restart`."""
        self.supervisor.leave_alone(name)
        self.supervisor.children[name].kill()

    def restart(self, name: str) -> None:
        """Starts a process again, under the same name and address."""
        child = self.supervisor.children[name]
        child.kill()
        self.supervisor.start(child.spec)

    def feed(self, settings: Mapping[str, str], line: str | None = None) -> Child:
        """Starts an ingest with these settings; it ends with its source and is not started again."""
        self._feeds += 1
        spec: Spec = ingest_spec(f"ingest-{self._feeds}", self.redis_url, line or self.plan.lines[0], settings)
        child = self.supervisor.start(spec)
        self.supervisor.leave_alone(spec.name)
        return child

    def finish(self, feed: Child, timeout_s: float) -> None:
        """Waits until an ingest has ended; StripwatchError with its last words unless it ended well."""
        deadline = time.monotonic() + timeout_s
        while feed.running:
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"{feed.spec.name} still runs after {timeout_s:g} s: {feed.last_words}")
            self.sleep()
        feed.wait(1.0)
        if feed.code != 0:
            raise StripwatchError(f"{feed.spec.name} {feed.reason}: {feed.last_words}")

    def verdict(self, run: RunId, timeout_s: float = 60.0) -> Published:
        """The run's verdict, when it is there."""
        verdicts = self.line(run.line).verdicts
        deadline = time.monotonic() + timeout_s
        while (found := verdicts.of(run)) is None:
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"run {run}: no verdict after {timeout_s:g} s")
            self.sleep()
        return found

    def settle(self, line: str | None = None, timeout_s: float = 60.0) -> None:
        """Waits until no run of the line is open: each has its verdict."""
        runs = self.line(line).runs
        deadline = time.monotonic() + timeout_s
        while left := runs.open_runs():
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"still open after {timeout_s:g} s: {', '.join(map(str, left))}")
            self.sleep()
