"""`python -m stripwatch_aggregator`: reads settings, builds clients, runs until SIGTERM."""

from __future__ import annotations

import os
import secrets
import socket

from stripwatch.errors import StripwatchError
from stripwatch.rpc.server import GrpcServer
from stripwatch.rpc.tokens import Tokens, parse_tokens, tokens_in
from stripwatch.rpc.v1.verdict_pb2_grpc import add_VerdictsServicer_to_server
from stripwatch.runtime import logging, metrics, settings, tracing
from stripwatch.runtime.lifecycle import Lifecycle, main
from stripwatch.stream import open_stream
from stripwatch_aggregator.crew import run_all
from stripwatch_aggregator.lookout import look_out
from stripwatch_aggregator.service import Aggregate
from stripwatch_aggregator.settings import AggregatorSettings
from stripwatch_aggregator.verdicts import SERVICE, VerdictsService

UNARY_WORKERS = 8


def run() -> None:
    given = settings.load(AggregatorSettings)
    logging.configure("aggregator", given.log_level, given.log_format)
    tracing.configure("aggregator", given)
    lifecycle = Lifecycle()
    lifecycle.listen()
    stream = open_stream(given)

    def ready() -> str | None:
        try:
            stream.ping()
        except StripwatchError as error:
            return str(error)
        return None

    server = GrpcServer(
        given.health_host,
        given.health_port,
        max_workers=given.max_watchers + UNARY_WORKERS,
        connection_age_s=None,
        ready=ready,
        tls=given.tls,
        tokens=_tokens(given),
    )
    verdicts = VerdictsService(stream, given.lines, given.max_watchers, lambda: server.open)
    server.add(add_VerdictsServicer_to_server, verdicts, SERVICE)
    metrics.serve("aggregator", given, lambda: server.serving)
    if given.metrics_port:
        look_out(stream, given.lines, lifecycle)
    server.start()
    server.live_while(lambda: lifecycle.turning)
    lifecycle.when_stopping(server.drain)
    who = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    try:
        run_all([Aggregate(stream, line, given, lifecycle, who) for line in given.lines], lifecycle)
        server.linger(given.shutdown_delay_seconds)
    finally:
        server.stop(given.drain_seconds)
        stream.close()


def _tokens(given: AggregatorSettings) -> Tokens | None:
    """Who may call; None: whoever reaches the port."""
    if given.tokens_file:
        return tokens_in(given.tokens_file)
    known = parse_tokens(given.tokens.get_secret_value()) if given.tokens.get_secret_value() else None
    return (lambda: known) if known else None


if __name__ == "__main__":
    main(run)
