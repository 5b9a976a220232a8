"""Starts camera-ingest: `python -m stripwatch_ingest`, settings from the environment (`STRIPWATCH_...`)."""

from __future__ import annotations

import logging

from stripwatch.errors import StreamUnavailable
from stripwatch.feed import FeedRules
from stripwatch.ports import LineStream, Stream
from stripwatch.rpc.server import GrpcServer
from stripwatch.runtime import logging as logs
from stripwatch.runtime.deadline import Deadline, backoff
from stripwatch.runtime.lifecycle import Lifecycle, main
from stripwatch.runtime.settings import load
from stripwatch.stream import open_stream
from stripwatch_ingest import wiring
from stripwatch_ingest.service import Ingest
from stripwatch_ingest.settings import IngestSettings
from stripwatch_ingest.source import FrameSource

log = logging.getLogger(__name__)


def run() -> None:
    """Reads the settings, opens the source, serves health, ingests; ends when the source is done."""
    settings = load(IngestSettings)
    logs.configure("ingest", settings.log_level, settings.log_format)
    lifecycle = Lifecycle()
    lifecycle.listen()
    source = wiring.source(settings, lifecycle)
    stream = open_stream(settings)
    health = GrpcServer(
        settings.health_host, settings.health_port, ready=lambda: _not_ready(stream, source), tls=settings.tls
    )
    health.start()
    try:
        rules = FeedRules(
            wiring.is_live(settings), settings.run_deadline_seconds, settings.budget_bytes, settings.budget_seconds
        )
        line = _line(stream, settings, lifecycle)
        pace, patience = wiring.pace(settings), (settings.drain_seconds, settings.start_seconds)
        Ingest(line, source, rules, pace, lifecycle, *patience).run()
    finally:
        health.stop(1.0)
        source.close()
        stream.close()


def _not_ready(stream: Stream, source: FrameSource) -> str | None:
    try:
        stream.ping()
    except StreamUnavailable as error:
        return str(error)
    return source.ready()


def _line(stream: Stream, settings: IngestSettings, lifecycle: Lifecycle) -> LineStream:
    """The line, as soon as Redis answers; StreamUnavailable if it does not in time."""
    deadline = Deadline.after(settings.start_seconds)
    for wait in backoff():
        try:
            return stream.line(settings.line)
        except StreamUnavailable as error:
            if not deadline.left() or not lifecycle.sleep(wait):
                raise
            log.info("waiting for Redis", extra={"reason": str(error)})
    raise AssertionError("backoff never ends")


if __name__ == "__main__":
    main(run)
