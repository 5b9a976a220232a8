"""The classifier's interface over gRPC."""

from __future__ import annotations

import grpc

from stripwatch.models.manifest import DESCRIPTOR, MAP
from stripwatch.models.service import ModelService
from stripwatch.models.serving import ModelServer
from stripwatch.rpc.codec.models import descriptors_to, maps_to, quantise, spec_to, units_to
from stripwatch.rpc.v1 import model_pb2 as pb
from stripwatch.rpc.v1 import model_pb2_grpc as pb_grpc


class Classifier(pb_grpc.ClassifierServicer):
    """Says what it serves, and how probable each class is for each tile; if asked, its descriptor and map."""

    def __init__(self, service: ModelService) -> None:
        self._service = service

    def Describe(self, request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.DescribeResponse:  # noqa: N802, ARG002 - the proto's name and gRPC's signature
        return spec_to(self._service.describe(request.model))

    def Classify(self, request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:  # noqa: N802 - the proto's name
        wishes = {DESCRIPTOR: request.descriptors, MAP: request.maps}
        extras = tuple(name for name, wanted in wishes.items() if wanted)
        probabilities, *others = self._service.tiles(request.model, request.tiles, context, extras)  # (N, classes)
        count, classes = probabilities.shape
        units = units_to(quantise(probabilities))
        answer = pb.ClassifyResponse(model=request.model, count=count, classes=classes, probabilities=units)
        for name, output in zip(extras, others, strict=True):
            if name == DESCRIPTOR:  # (N, width)
                answer.descriptors.CopyFrom(descriptors_to(output, self._backbone(request.model)))
            else:  # (N, side, side)
                answer.maps.CopyFrom(maps_to(output))
        return answer

    def _backbone(self, model: str) -> str:
        given = self._service.describe(model).descriptors
        return given.backbone_sha256 if given else ""


def register(server: ModelServer) -> None:
    server.add(pb_grpc.add_ClassifierServicer_to_server, Classifier(server.service), "stripwatch.rpc.v1.Classifier")
