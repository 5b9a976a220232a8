"""What the engines of a model service do."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from stripwatch.domain.model import ModelSpec
from stripwatch.runtime.metrics.buckets import SECONDS, TILES

ENGINE_BATCH_TILES = Histogram(
    "stripwatch_engine_batch_tiles", "Tiles in one run of an engine", ["model"], buckets=TILES
)
ENGINE_RUN_SECONDS = Histogram(
    "stripwatch_engine_run_seconds", "Time of one run of an engine", ["model"], buckets=SECONDS
)
ENGINE_QUEUE_SECONDS = Histogram(
    "stripwatch_engine_queue_seconds",
    "Time from a request's coming until an engine starts on it",
    ["model"],
    buckets=SECONDS,
)
ENGINE_FAILURES = Counter("stripwatch_engine_failures", "Runs of an engine that failed", ["model"])
ENGINES = Gauge("stripwatch_engines", "Engines that run a model at the same time", ["model"])
MODEL_INFO = Gauge("stripwatch_model_info", "1 for a model that is served", ["service", "model", "engine", "sha256"])


class EngineMeter:
    """What the engines of one graph do. `model` is NAME/VERSION, with `(head)` for what takes descriptors."""

    def __init__(self, model: str, engines: int) -> None:
        # Looked up once: finding a label's histogram costs more than to observe it.
        self._tiles, self._run_s, self._queue_s = (
            one.labels(model) for one in (ENGINE_BATCH_TILES, ENGINE_RUN_SECONDS, ENGINE_QUEUE_SECONDS)
        )
        self._failures = ENGINE_FAILURES.labels(model)
        ENGINES.labels(model).set(engines)

    def ran(self, tiles: int, seconds: float) -> None:
        self._tiles.observe(tiles)
        self._run_s.observe(seconds)

    def waited(self, seconds: float) -> None:
        self._queue_s.observe(seconds)

    def failed(self) -> None:
        self._failures.inc()


def serves(spec: ModelSpec) -> None:
    """Says that a model is served from now on."""
    MODEL_INFO.labels(spec.kind.value, str(spec.ref), spec.engine, spec.sha256).set(1)


def served_no_more(spec: ModelSpec) -> None:
    """Says that a model is not served any more by that engine."""
    MODEL_INFO.remove(spec.kind.value, str(spec.ref), spec.engine, spec.sha256)
