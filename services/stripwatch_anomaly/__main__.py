"""Starts the anomaly scorer: settings, logs, server."""

from __future__ import annotations

from stripwatch.domain.model import ModelKind
from stripwatch.models.engines import builder
from stripwatch.models.serving import ModelServer
from stripwatch.runtime import lifecycle, logging, tracing
from stripwatch.runtime.settings import load
from stripwatch_anomaly.service import register
from stripwatch_anomaly.settings import AnomalySettings


def run() -> None:
    settings = load(AnomalySettings)
    logging.configure("anomaly", settings.log_level, settings.log_format)
    tracing.configure("anomaly", settings)
    life = lifecycle.Lifecycle()
    life.listen()
    build = builder(settings.engine, settings.engine_threads, settings.remote)
    server = ModelServer(settings, ModelKind.ANOMALY, build)
    register(server)
    server.run(life)


if __name__ == "__main__":
    lifecycle.main(run)
