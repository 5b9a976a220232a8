"""A model service that answers by brightness, and spends a fixed time on each tile or request that it classifies.

The time goes by asleep, as on an accelerator elsewhere: the pipeline's capacity is the same however busy this machine
is. `python fixed_cost.py classifier|anomaly PORT MS_A_TILE MS_A_REQUEST`
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np

from stripwatch.domain.model import InputSpec, ModelKind, ModelRef, ModelSpec
from stripwatch.local.child import Spec
from stripwatch.local.services import Plan
from stripwatch.rpc.codec.models import quantise, spec_to, tiles_from, units_to
from stripwatch.rpc.server import GrpcServer
from stripwatch.rpc.v1 import model_pb2 as pb
from stripwatch.rpc.v1 import model_pb2_grpc as pb_grpc
from stripwatch.runtime.lifecycle import Lifecycle, main

SIZE = 16
ENGINE = "fixed-cost 1"
STEEL = ModelSpec(
    ModelRef("steel", "1"),
    ModelKind.CLASSIFIER,
    InputSpec(SIZE, 1, "uint8"),
    ("healthy", "scratches"),
    "0" * 64,
    ENGINE,
)
TEXTURE = ModelSpec(ModelRef("texture", "1"), ModelKind.ANOMALY, InputSpec(SIZE, 1, "uint8"), (), "0" * 64, ENGINE)


class Worker:
    """One tile at a time, each `seconds`: a queue whose service time is known. Then `wait_s` a request, all at once."""

    def __init__(self, seconds: float, wait_s: float) -> None:
        self._seconds = seconds
        self._wait_s = wait_s
        self._free_at = 0.0
        self._lock = threading.Lock()

    def work(self, tiles: int) -> None:
        with self._lock:
            self._free_at = max(time.monotonic(), self._free_at) + tiles * self._seconds
            until = self._free_at + self._wait_s
        time.sleep(max(0.0, until - time.monotonic()))


class Classifier(pb_grpc.ClassifierServicer):
    """Bright is a scratch. The fixed time is spent here."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def Describe(self, request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.DescribeResponse:  # noqa: N802, ARG002 - the proto's name and gRPC's signature
        return spec_to(STEEL)

    def Classify(self, request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:  # noqa: N802, ARG002 - the proto's name and gRPC's signature
        tiles = tiles_from(request.tiles)  # (N, 1, 16, 16)
        self._worker.work(len(tiles))
        bright = (tiles.mean(axis=(1, 2, 3)) > 128).astype(np.float32)
        units = units_to(quantise(np.stack([1 - bright, bright], axis=1)))
        return pb.ClassifyResponse(model=request.model, count=len(tiles), classes=2, probabilities=units)


class Anomaly(pb_grpc.AnomalyScorerServicer):
    """As unusual as it is bright; at once."""

    def Describe(self, request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.DescribeResponse:  # noqa: N802, ARG002 - the proto's name and gRPC's signature
        return spec_to(TEXTURE)

    def Score(self, request: pb.ScoreRequest, context: grpc.ServicerContext) -> pb.ScoreResponse:  # noqa: N802, ARG002 - the proto's name and gRPC's signature
        tiles = tiles_from(request.tiles)
        scores = (tiles.mean(axis=(1, 2, 3)) / 128).astype(np.float32)
        return pb.ScoreResponse(model=request.model, count=len(tiles), scores=units_to(quantise(scores)))


@dataclass(frozen=True, slots=True)
class FixedCostPlan(Plan):
    """A pipeline's processes, with this in the place of both model services."""

    ms_a_tile: float = 0.0
    ms_a_request: float = 0.0

    @classmethod
    def of_pipeline(cls, plan: Plan, ms_a_tile: float, ms_a_request: float = 0.0) -> FixedCostPlan:
        return cls(plan.redis_url, plan.lines, plan.addresses, plan.env, ms_a_tile, ms_a_request)

    def spec(self, name: str) -> Spec:
        kind = name.partition("-")[0]
        if kind not in ("classifier", "anomaly"):
            return Plan.spec(self, name)
        port = self.addresses[name].rpartition(":")[2]
        cost = (str(self.ms_a_tile), str(self.ms_a_request))
        return Spec(name, (sys.executable, str(Path(__file__).resolve()), kind, port, *cost))


def run() -> None:
    kind, port, ms_a_tile, ms_a_request = sys.argv[1:]
    lifecycle = Lifecycle()
    lifecycle.listen()
    server = GrpcServer("127.0.0.1", int(port), ready=lambda: None, max_workers=64)
    if kind == "classifier":
        servicer = Classifier(Worker(float(ms_a_tile) / 1000, float(ms_a_request) / 1000))
        server.add(pb_grpc.add_ClassifierServicer_to_server, servicer, "stripwatch.rpc.v1.Classifier")
    else:
        server.add(pb_grpc.add_AnomalyScorerServicer_to_server, Anomaly(), "stripwatch.rpc.v1.AnomalyScorer")
    server.start()
    while lifecycle.sleep(60.0):
        pass
    server.stop(1.0)


if __name__ == "__main__":
    main(run)
