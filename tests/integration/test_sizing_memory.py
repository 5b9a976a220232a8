"""What Redis takes for frames that wait, against what `stripwatch plan` says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stripwatch.domain.frame import RunId
from stripwatch.local import EmbeddedRedis
from stripwatch.ports import Kind, LineStream, Outgoing
from stripwatch.sizing.plan import ALLOCATED
from stripwatch.stream import connect

RUN = RunId("line1", "coil", "r1")
BYTES = 40_000_000
BUFFERS = 1 << 20
"""What the server keeps for itself and its client, whatever waits."""


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LineStream]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        stream = connect(server.url)
        found = stream.line(RUN.line)
        found.source.start_run(RUN, b"", cameras=["top-1"], live=True, deadline_ms=60_000)
        yield found
        stream.close()


@pytest.mark.parametrize("size", [10_000, 20_500, 66_000, 660_000, 4_200_000])
def test_a_waiting_frame_takes_no_more_than_is_planned_for(line: LineStream, size: int) -> None:
    """Sizes just above what jemalloc has blocks of are the worst; below 10 kB the entry itself would show."""
    frame = Outgoing(Kind.FRAME, RUN, b"h" * 150, b"p" * size)
    line.source.publish([frame])  # the connection's buffers are there from now on
    before = line.source.memory().used
    count = BYTES // size
    for _ in range(count):
        line.source.publish([frame])
    assert line.source.memory().used - before <= count * size * ALLOCATED + BUFFERS
