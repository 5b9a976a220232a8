"""The `Verdicts` gRPC service: watch with resume and heartbeats, get, list, status."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

import grpc

from stripwatch import ports
from stripwatch.errors import BadInput, NotFound, Overloaded, PeerUnavailable
from stripwatch.rpc.codec.frames import run_from
from stripwatch.rpc.codec.standings import standing_to
from stripwatch.rpc.codec.wire import parse
from stripwatch.rpc.limits import MAX_MESSAGE_BYTES
from stripwatch.rpc.v1 import verdict_pb2 as pb
from stripwatch.rpc.v1 import verdict_pb2_grpc

SERVICE = "stripwatch.rpc.v1.Verdicts"
BLOCK_MS = 250
LONGEST_BEAT_S = 3600
EVENTS_AT_ONCE = 50
MOST_A_PAGE = 500
DEFAULT_A_PAGE = 50
PAGE_BYTES = MAX_MESSAGE_BYTES // 4


class VerdictsService(verdict_pb2_grpc.VerdictsServicer):
    """Hands out the verdicts of some lines; at most `max_watchers` watch at the same time."""

    def __init__(
        self, stream: ports.Stream, lines: Sequence[str], max_watchers: int, running: Callable[[], bool]
    ) -> None:
        self._stream = stream
        self._lines = tuple(lines)
        self._running = running
        self._max_watchers = max_watchers
        self._watchers = threading.BoundedSemaphore(max_watchers)
        self._open: dict[str, ports.LineStream] = {}

    def Watch(self, request: pb.WatchRequest, context: grpc.ServicerContext) -> Iterator[pb.WatchResponse]:  # noqa: N802
        """Every verdict after the cursor, then those to come, until the caller or this process ends.

        With a heartbeat also how the line stands. Without Redis it ends as UNAVAILABLE: silence never means that
        all is well.
        """
        every = request.heartbeat_seconds
        if every > LONGEST_BEAT_S:
            raise BadInput(f"heartbeat_seconds: expected 0 (none) to {LONGEST_BEAT_S}, got {every}")
        if not self._watchers.acquire(blocking=False):
            raise Overloaded(f"{self._max_watchers} watchers already; try again later", retry_after_s=5.0)
        try:
            line = self._line(request.line)
            log = line.verdicts
            cursor, beat_at = request.cursor, 0.0
            while context.is_active():
                if not self._running():
                    raise PeerUnavailable("the aggregator is shutting down; resume with the last cursor")
                if every and time.monotonic() + BLOCK_MS / 1000 >= beat_at:  # before the wait, or it would come late
                    beat_at = time.monotonic() + every
                    yield pb.WatchResponse(cursor=cursor, status=standing_to(ports.standing(line)))
                for published in log.since(cursor, EVENTS_AT_ONCE, BLOCK_MS):
                    cursor = published.cursor
                    yield pb.WatchResponse(cursor=cursor, verdict=_verdict(published), event=published.event.json)
        finally:
            self._watchers.release()

    def Get(self, request: pb.GetRequest, _context: grpc.ServicerContext) -> pb.GetResponse:  # noqa: N802
        run = run_from(request.run)
        line = self._line(run.line)
        published = line.verdicts.of(run)
        if published is None:
            raise NotFound(f"run {run}: no verdict (yet), or one that is no longer kept")
        return pb.GetResponse(
            cursor=published.cursor,
            verdict=_verdict(published),
            event=published.event.json,
            late=line.runs.late(run),
        )

    def List(self, request: pb.ListRequest, _context: grpc.ServicerContext) -> pb.ListResponse:  # noqa: N802
        size = request.page_size or DEFAULT_A_PAGE
        if size > MOST_A_PAGE:
            raise BadInput(f"page_size: expected 0 to {MOST_A_PAGE}, got {size}")
        found = self._line(request.line).verdicts.page(request.page_token, size + 1)
        page = found[: min(size, _fitting(found))]
        token = page[-1].cursor if len(found) > len(page) else ""
        return pb.ListResponse(verdicts=[_verdict(published) for published in page], next_page_token=token)

    def Status(self, request: pb.StatusRequest, _context: grpc.ServicerContext) -> pb.StatusResponse:  # noqa: N802
        return pb.StatusResponse(status=standing_to(ports.standing(self._line(request.line))))

    def _line(self, name: str) -> ports.LineStream:
        if name not in self._lines:
            raise NotFound(f"line {name!r}: this aggregator works on {', '.join(self._lines)}")
        if name not in self._open:
            self._open[name] = self._stream.line(name)
        return self._open[name]


def _fitting(found: Sequence[ports.Published]) -> int:
    """How many of them fit into an answer; always the first."""
    sizes = accumulate(len(published.event.body) for published in found)
    return max(1, sum(size <= PAGE_BYTES for size in sizes))


def _verdict(published: ports.Published) -> pb.StripVerdict:
    return parse(pb.StripVerdict, published.event.body)
