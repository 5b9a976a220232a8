"""`python -m stripwatch_preprocess`: reads settings, builds clients, runs until SIGTERM."""

from __future__ import annotations

import os
import secrets
import socket

import cv2

from stripwatch.domain.recipe import Role
from stripwatch.recipes import RecipeBook, parse_recipe
from stripwatch.rpc.client import RemoteScorer
from stripwatch.rpc.server import GrpcServer
from stripwatch.runtime import logging, metrics, settings, tracing
from stripwatch.runtime.lifecycle import Lifecycle, main
from stripwatch.stream import open_stream
from stripwatch_preprocess.dispatch import Dispatch
from stripwatch_preprocess.plans import Plans
from stripwatch_preprocess.readiness import Readiness
from stripwatch_preprocess.service import Preprocess
from stripwatch_preprocess.settings import PreprocessSettings


def run() -> None:
    given = settings.load(PreprocessSettings)
    logging.configure("preprocess", given.log_level, given.log_format)
    tracing.configure("preprocess", given)
    cv2.setNumThreads(1)  # workers are the unit of scale; OpenCV's own pool would only contend with them
    lifecycle = Lifecycle()
    lifecycle.listen()
    stream = open_stream(given)
    addresses = {Role.CLASSIFIER: given.classifier_address, Role.ANOMALY: given.anomaly_address}
    scorers = {role: RemoteScorer(role, address, given.tls) for role, address in addresses.items() if address}
    server = GrpcServer(
        given.health_host,
        given.health_port,
        ready=Readiness(stream, [one.ready for one in scorers.values()]),
        tls=given.tls,
    )
    metrics.serve("preprocess", given, lambda: server.serving)
    server.start()
    server.live_while(lambda: lifecycle.turning)
    lifecycle.when_stopping(server.drain)
    plans = Plans(RecipeBook(given.recipes).find, parse_recipe, scorers, given.request_seconds)
    dispatch = Dispatch(
        scorers,
        batch_tiles=given.batch_tiles,
        in_flight=given.in_flight,
        request_seconds=given.request_seconds,
        patience_seconds=given.patience_seconds,
    )
    consumer = given.consumer or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    Preprocess(stream, plans, dispatch, given, lifecycle, consumer).run()
    server.stop(1.0)
    for scorer in scorers.values():
        scorer.close()
    stream.close()


if __name__ == "__main__":
    main(run)
