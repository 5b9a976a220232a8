"""A Redis that is stopped, not down: its kernel still takes connections, and nothing ever answers."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis_servers import Server, binaries, cluster_nodes, running, wait_for, watched

from stripwatch.domain.frame import RunId
from stripwatch.errors import StreamUnavailable
from stripwatch.ports import Kind, LineStream, Outgoing
from stripwatch.stream import RedisStream, connect

RUN = RunId("line1", "s1", "r1")
TIMEOUT_S = 1.0
HANGS_S = 30
"""A call that took this long would never have come back."""


@dataclass(frozen=True)
class Place:
    """A Redis, and the server of it that holds line1."""

    url: str
    server: Server

    def connect(self) -> RedisStream:
        return connect(self.url, timeout_s=TIMEOUT_S)

    def stop(self) -> None:
        self.server.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.server.process.send_signal(signal.SIGCONT)


@pytest.fixture(params=["standalone", "sentinel", "cluster"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    binary = next(iter(binaries().values()), None)
    if binary is None:
        pytest.skip("no Redis here (make system)")
    if request.param == "standalone":
        with running(binary, tmp_path) as server:
            yield Place(f"redis://127.0.0.1:{server.port}", server)
    elif request.param == "sentinel":
        with watched(binary, tmp_path, replicas=0) as plant:
            yield Place(plant.url, plant.primary)
    else:
        with cluster_nodes(binary, tmp_path) as nodes:
            owner = nodes[int(nodes[0].client().cluster("KEYSLOT", "sw:{line1}:frames")) // 5461]
            yield Place(f"redis-cluster://127.0.0.1:{nodes[0].port}", owner)


def publish(line: LineStream, frames: int) -> None:
    line.source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p")] * frames)


def ends_unavailable(step: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(StreamUnavailable):
        pool.submit(step).result(timeout=HANGS_S)


def test_a_stopped_redis_ends_a_blocking_read_and_goes_on_later(place: Place) -> None:
    line = place.connect().line("line1")
    raw = place.server.client()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_until_error, line)
        wait_for(lambda: int(raw.info("clients")["blocked_clients"]) > 0, "the blocking read")
        place.stop()
        assert isinstance(reading.result(timeout=HANGS_S), StreamUnavailable)
    place.go_on()
    wait_for(lambda: answers(line), "the stream", 60)


def read_until_error(line: LineStream) -> StreamUnavailable:
    while True:
        try:
            line.frames.read("w", 10, 10_000)
        except StreamUnavailable as error:
            return error


def answers(line: LineStream) -> bool:
    try:
        line.source.start_run(RUN, b"start", cameras=["top"], live=False, deadline_ms=1000)
    except StreamUnavailable:
        return False
    return True


def test_a_stopped_redis_costs_a_batch_one_timeout_not_one_for_each_frame(place: Place) -> None:
    """A cluster's own pipeline asked again for each command: a hundred frames took a hundred timeouts and more."""
    line = place.connect().line("line1")
    line.source.start_run(RUN, b"start", cameras=["top"], live=False, deadline_ms=1000)
    publish(line, 1)
    place.stop()
    ends_unavailable(lambda: publish(line, 100))


def test_a_stopped_redis_ends_a_single_step(place: Place) -> None:
    line = place.connect().line("line1")
    place.stop()
    ends_unavailable(line.runs.open_runs)
    ends_unavailable(line.source.memory)


def test_a_stopped_redis_ends_the_first_connection(place: Place) -> None:
    place.stop()
    ends_unavailable(lambda: place.connect().line("line1"))
