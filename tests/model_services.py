"""Model services for tests: real gRPC servers that judge by brightness, and hold back or refuse as the test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from preprocess_cases import FakeScorer
from stripwatch.domain.recipe import Role
from stripwatch.rpc.client import SERVICES
from stripwatch.rpc.codec.models import spec_to, tiles_from, units_to
from stripwatch.rpc.server import GrpcServer
from stripwatch.rpc.v1 import model_pb2 as pb
from stripwatch.rpc.v1 import model_pb2_grpc as pb_grpc

Greys = npt.NDArray[np.floating[Any]]


class ModelService(pb_grpc.ClassifierServicer, pb_grpc.AnomalyScorerServicer):
    """`scorer.fault` is what it answers now; `hold` keeps answers back while it is cleared; `before` sees the greys."""

    def __init__(self, role: Role = Role.CLASSIFIER) -> None:
        self.scorer = FakeScorer(role)
        self.hold = threading.Event()
        self.hold.set()
        self.before: Callable[[Greys], None] = lambda _greys: None
        self.peers: set[str] = set()
        self.waiting = 0
        self.tiles = 0
        """How many were asked about, again and again included."""

    def Describe(self, request: pb.DescribeRequest, context: Any) -> pb.DescribeResponse:  # noqa: N802, ARG002
        return spec_to(self.scorer.describe(request.model, 1.0))

    def Classify(self, request: pb.ClassifyRequest, context: Any) -> pb.ClassifyResponse:  # noqa: N802
        units = self._units(request, context)
        return pb.ClassifyResponse(
            model=request.model, count=len(units), classes=units.shape[1], probabilities=units_to(units)
        )

    def Score(self, request: pb.ScoreRequest, context: Any) -> pb.ScoreResponse:  # noqa: N802
        units = self._units(request, context)
        return pb.ScoreResponse(model=request.model, count=len(units), scores=units_to(units))

    def _units(self, request: Any, context: Any) -> npt.NDArray[np.int32]:
        tiles = tiles_from(request.tiles)
        self.peers.add(context.peer())
        self.tiles += len(tiles)
        self.before(tiles.reshape(len(tiles), -1).mean(axis=1))
        self.waiting += 1
        self.hold.wait(60)
        self.waiting -= 1
        return self.scorer.submit(self.scorer.describe(request.model, 1.0), tiles, 1.0).result()


@contextmanager
def served(service: ModelService, port: int, **options: Any) -> Iterator[GrpcServer]:
    """The service on a port of loopback, ready at once, until the block ends: abruptly."""
    server = GrpcServer("127.0.0.1", port, ready=lambda: None, **options)
    role = service.scorer.role
    add: Any = {
        Role.CLASSIFIER: pb_grpc.add_ClassifierServicer_to_server,
        Role.ANOMALY: pb_grpc.add_AnomalyScorerServicer_to_server,
    }[role]
    server.add(add, service, SERVICES[role])
    server.start()
    try:
        yield server
    finally:
        server.stop(0)
        service.hold.set()  # only now: what was held back has gone unanswered
