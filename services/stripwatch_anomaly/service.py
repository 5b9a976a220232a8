"""The anomaly scorer's interface over gRPC."""

from __future__ import annotations

import grpc

from stripwatch.errors import BadInput
from stripwatch.models.service import ModelService
from stripwatch.models.serving import ModelServer
from stripwatch.rpc.codec.models import quantise, spec_to, units_to
from stripwatch.rpc.v1 import model_pb2 as pb
from stripwatch.rpc.v1 import model_pb2_grpc as pb_grpc


class AnomalyScorer(pb_grpc.AnomalyScorerServicer):
    """Says what it serves, and how far each tile is from ordinary steel: 1 is the threshold."""

    def __init__(self, service: ModelService) -> None:
        self._service = service

    def Describe(self, request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.DescribeResponse:  # noqa: N802, ARG002 - the proto's name and gRPC's signature
        return spec_to(self._service.describe(request.model))

    def Score(self, request: pb.ScoreRequest, context: grpc.ServicerContext) -> pb.ScoreResponse:  # noqa: N802 - the proto's name
        by_tiles, by_descriptors = request.HasField("tiles"), request.HasField("descriptors")
        if by_tiles == by_descriptors:
            got = "both" if by_tiles else "neither"
            raise BadInput(f"model {request.model}: expected either tiles or descriptors, got {got}")
        if by_tiles:
            (scores,) = self._service.tiles(request.model, request.tiles, context)  # (N,)
        else:
            (scores,) = self._service.descriptors(request.model, request.descriptors, context)  # (N,)
        units = quantise(scores)
        return pb.ScoreResponse(model=request.model, count=len(units), scores=units_to(units))


def register(server: ModelServer) -> None:
    server.add(
        pb_grpc.add_AnomalyScorerServicer_to_server, AnomalyScorer(server.service), "stripwatch.rpc.v1.AnomalyScorer"
    )
