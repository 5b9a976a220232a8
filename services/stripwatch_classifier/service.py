"""The classifier's interface over gRPC."""

from __future__ import annotations

import grpc

from stripwatch.models.service import ModelService
from stripwatch.models.serving import ModelServer
from stripwatch.rpc.codec.models import spec_to, units_to
from stripwatch.rpc.v1 import model_pb2 as pb
from stripwatch.rpc.v1 import model_pb2_grpc as pb_grpc


class Classifier(pb_grpc.ClassifierServicer):
    """Says what it serves, and how probable each class is for each tile."""

    def __init__(self, service: ModelService) -> None:
        self._service = service

    def Describe(self, request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.DescribeResponse:  # noqa: N802, ARG002 - the proto's name and gRPC's signature
        return spec_to(self._service.describe(request.model))

    def Classify(self, request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:  # noqa: N802 - the proto's name
        units = self._service.run(request.model, request.tiles, context)  # (N, classes) int32
        count, classes = units.shape
        return pb.ClassifyResponse(model=request.model, count=count, classes=classes, probabilities=units_to(units))


def register(server: ModelServer) -> None:
    server.add(pb_grpc.add_ClassifierServicer_to_server, Classifier(server.service), "stripwatch.rpc.v1.Classifier")
