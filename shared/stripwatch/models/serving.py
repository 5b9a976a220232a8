"""A model service from start to stop, the same for both kinds; a service adds its servicer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import grpc

from stripwatch.domain.model import ModelKind
from stripwatch.models.batching import Batcher
from stripwatch.models.load import Build, LoadedModel, load
from stripwatch.models.served import ServedModels
from stripwatch.models.service import ModelService
from stripwatch.models.settings import ModelServiceSettings
from stripwatch.models.signature import public_key
from stripwatch.models.store import ModelFolder, ModelStore
from stripwatch.ports import Engine
from stripwatch.rpc.server import GrpcServer
from stripwatch.runtime import metrics
from stripwatch.runtime.deadline import Deadline
from stripwatch.runtime.lifecycle import Lifecycle

S = TypeVar("S")

_CALLS = 64
"""Calls handled at once: each holds a thread that only waits, and they fill the engines' batches."""


class ModelServer:
    """Loads the models of one kind, serves them, picks up new versions, and drains at the end."""

    def __init__(self, settings: ModelServiceSettings, kind: ModelKind, build: Build) -> None:
        self._settings, self._kind = settings, kind

        key = public_key(settings.model_key) if settings.model_key else None

        def loaded(folder: ModelFolder) -> LoadedModel:
            return load(folder, build, settings.engine_workers, key)

        def queue(name: str, engines: Sequence[Engine], whole: bool) -> Batcher:
            return Batcher(name, engines, settings.batching.whole if whole else settings.batching)

        store, elsewhere = ModelStore(settings.models), settings.engine == "remote"
        self._models = ServedModels(store, kind, settings.serve, loaded, queue, elsewhere=elsewhere)
        self._server = GrpcServer(
            settings.health_host,
            settings.health_port,
            ready=self._models.ready,
            max_workers=_CALLS,
            connection_age_s=settings.connection_age_seconds,
            tls=settings.tls,
        )
        self.service = ModelService(self._models)

    def add(self, registrar: Callable[[S, grpc.Server], None], servicer: S, full_service_name: str) -> None:
        self._server.add(registrar, servicer, full_service_name)

    def run(self, lifecycle: Lifecycle) -> None:
        """Until the lifecycle ends. Health answers from the first moment, and says what it waits for."""
        metrics.serve(self._kind.value, self._settings, lambda: self._server.serving)
        self._server.start()
        self._server.live_while(lambda: lifecycle.turning)
        lifecycle.when_stopping(self._server.drain)
        try:
            self._models.load()
            while lifecycle.sleep(self._settings.rescan_seconds):
                self._models.rescan()
            self._server.linger(self._settings.shutdown_delay_seconds)
        finally:
            self.stop()

    def stop(self) -> None:
        """Say NOT_SERVING and take no more calls; finish those that wait; close the engines."""
        deadline = Deadline.after(self._settings.drain_seconds)
        self._server.stop(deadline.left())
        self._models.close(deadline.left())
