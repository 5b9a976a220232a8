"""Starts camera-ingest: `python -m stripwatch_ingest`, settings from the environment (`STRIPWATCH_...`)."""

from __future__ import annotations

from collections.abc import Callable

from stripwatch.errors import StreamUnavailable
from stripwatch.feed import FeedRules
from stripwatch.ports import Stream
from stripwatch.rpc.server import GrpcServer
from stripwatch.runtime import logging as logs
from stripwatch.runtime import metrics, tracing
from stripwatch.runtime.deadline import Deadline, insist
from stripwatch.runtime.lifecycle import Lifecycle, main
from stripwatch.runtime.settings import load
from stripwatch.stream import open_stream
from stripwatch_ingest import wiring
from stripwatch_ingest.service import Ingest
from stripwatch_ingest.settings import IngestSettings
from stripwatch_ingest.source import FrameSource


def run() -> None:
    """Reads the settings, opens the source, serves health, ingests; ends when the source is done."""
    settings = load(IngestSettings)
    logs.configure("ingest", settings.log_level, settings.log_format)
    tracing.configure("ingest", settings)
    lifecycle = Lifecycle()
    lifecycle.listen()
    source = wiring.source(settings, lifecycle)
    stream = open_stream(settings)
    health = GrpcServer(
        settings.health_host, settings.health_port, ready=lambda: _not_ready(stream, source), tls=settings.tls
    )
    metrics.serve("ingest", settings, lambda: health.serving)
    health.start()
    health.live_while(lambda: lifecycle.turning)
    lifecycle.when_stopping(health.drain)
    try:
        rules = FeedRules(
            wiring.is_live(settings), settings.run_deadline_seconds, settings.budget_bytes, settings.budget_seconds
        )
        line = insist(lambda: stream.line(settings.line), StreamUnavailable, _patience(settings, lifecycle))
        pace, patient = wiring.pace(settings), _patience(settings, lifecycle)
        Ingest(line, source, rules, pace, lifecycle, settings.drain_seconds, wiring.shrink(settings), patient).run()
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


def _patience(settings: IngestSettings, lifecycle: Lifecycle) -> Callable[[float], bool]:
    """Waits the seconds that it is given, for as long as a Redis that is away is waited for at the start."""
    deadline = Deadline.after(settings.start_seconds)
    return lambda wait: deadline.left() > 0 and lifecycle.sleep(wait)


if __name__ == "__main__":
    main(run)
