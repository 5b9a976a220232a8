"""Every adapter of the stream ports, one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from redis_servers import binaries, cluster, server

from stripwatch.ports import LineStream, Stream
from stripwatch.stream import connect
from stripwatch.stream.memory import MemoryStream

_numbers = itertools.count()


@pytest.fixture(scope="session", params=["memory", "redis-7", "redis-8", "cluster"])
def stream(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stream]:
    if request.param == "memory":
        yield MemoryStream()
        return
    found = binaries()
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "cluster":
        with cluster(next(iter(found.values())), folder) as port:
            yield connect(f"redis-cluster://127.0.0.1:{port}")
        return
    binary = found.get(request.param.removeprefix("redis-"))
    if binary is None:
        pytest.skip(f"no {request.param} server here (found: {', '.join(found) or 'none'})")
    with server(binary, folder) as port:
        yield connect(f"redis://127.0.0.1:{port}")


@pytest.fixture
def line(stream: Stream) -> LineStream:
    """A line nobody used before."""
    return stream.line(f"line{next(_numbers)}")


@pytest.fixture
def other_line(stream: Stream) -> LineStream:
    return stream.line(f"line{next(_numbers)}")
