"""A server of the Open Inference Protocol for tests: real gRPC as others set it up, graphs run by ONNX Runtime.

It does as a test says: it holds answers back, refuses, spoils them, changes its name, or a model behind its name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import onnxruntime as ort

from stripwatch.local.ports import free_ports
from stripwatch.models.engines import builder
from stripwatch.models.graph import Signature
from stripwatch.models.load import Build
from stripwatch.models.remote import Remote
from stripwatch.ports import Engine
from stripwatch.rpc.inference import Place
from stripwatch.rpc.oip import open_inference_pb2 as pb
from stripwatch.rpc.oip import open_inference_pb2_grpc as pb_grpc

_TYPES = {"tensor(uint8)": "UINT8", "tensor(float)": "FP32"}
_NUMPY = {"UINT8": np.dtype(np.uint8), "FP32": np.dtype("<f4")}


class InferenceServer(pb_grpc.GRPCInferenceServiceServicer):
    """Models by place. `raw`: answers in bytes, as Triton does; `column`: (N,) as (N, 1), as several do."""

    def __init__(self) -> None:
        self.models: dict[str, ort.InferenceSession] = {}
        self.name, self.version, self.platform = "testserver", "1.0", "onnxruntime_onnx"
        self.raw, self.column, self.tells = True, False, True
        self.live = self.ready = True
        self.fault: grpc.StatusCode | None = None
        self.spoil: Callable[[pb.ModelInferResponse], None] = lambda _answer: None
        self.hold = threading.Event()
        self.hold.set()
        self.batches: list[int] = []
        self.peers: set[str] = set()
        """The connections that rows came by."""

    def put(self, place: str, graph: bytes) -> None:
        self.models[place] = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def ServerLive(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - the proto's name and gRPC's signature
        return pb.ServerLiveResponse(live=self.live)

    def ServerReady(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return pb.ServerReadyResponse(ready=self.ready)

    def ServerMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return pb.ServerMetadataResponse(name=self.name, version=self.version)

    def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        return pb.ModelReadyResponse(ready=str(Place(request.name, request.version)) in self.models)

    def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        session = self._find(request.name, request.version, context)
        answer = pb.ModelMetadataResponse(name=request.name, platform=self.platform)
        if self.tells:
            for nodes, told in ((session.get_inputs(), answer.inputs), (session.get_outputs(), answer.outputs)):
                for node in nodes:
                    shape = [size if isinstance(size, int) else -1 for size in node.shape]
                    told.add(name=node.name, datatype=_TYPES[node.type], shape=self._shape(shape))
        return answer

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        session = self._find(request.model_name, request.model_version, context)
        given, raw = request.inputs[0], request.raw_input_contents[0]
        self.batches.append(given.shape[0])
        self.peers.add(context.peer())
        self.hold.wait(60)
        if self.fault:
            context.abort(self.fault, "a fault of the test")
        rows = np.frombuffer(raw, _NUMPY[given.datatype]).reshape(tuple(given.shape))
        names = [output.name for output in request.outputs]
        answer = pb.ModelInferResponse(model_name=request.model_name)
        for name, values in zip(names, session.run(names, {given.name: rows}), strict=True):
            output = answer.outputs.add(name=name, datatype="FP32", shape=self._shape(list(values.shape)))
            if self.raw:
                answer.raw_output_contents.append(values.astype("<f4").tobytes())
            else:
                output.contents.fp32_contents.extend(values.ravel())
        self.spoil(answer)
        return answer

    def _shape(self, shape: list[int]) -> list[int]:
        return [*shape, 1] if self.column and len(shape) == 1 else shape

    def _find(self, name: str, version: str, context: Any) -> ort.InferenceSession:
        place = str(Place(name, version))
        if place not in self.models:
            context.abort(grpc.StatusCode.NOT_FOUND, f"unknown model {place}")
        return self.models[place]


@contextmanager
def listening(service: InferenceServer, port: int, tls: grpc.ServerCredentials | None = None) -> Iterator[None]:
    """The service on a port of loopback until the block ends, abruptly; gRPC's own defaults for all else."""
    server = grpc.server(ThreadPoolExecutor(16))
    pb_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)
    address = f"127.0.0.1:{port}"
    assert (server.add_secure_port(address, tls) if tls else server.add_insecure_port(address)) == port
    server.start()
    try:
        yield
    finally:
        service.hold.set()
        server.stop(0).wait()


@contextmanager
def served() -> Iterator[tuple[InferenceServer, int]]:
    """A service, and its port."""
    service, port = InferenceServer(), free_ports(1)[0]
    with listening(service, port):
        yield service, port


def remote(port: int, model: str = "{name}/{version}", seconds: float = 30.0, max_batch: int = 16) -> Remote:
    return Remote(f"127.0.0.1:{port}", None, model, seconds, max_batch)


def remote_build(service: InferenceServer, port: int) -> Build:
    """The remote engine, of a server that has whatever graph is asked for."""

    def build(graph: bytes, signature: Signature, count: int) -> tuple[Engine, ...]:
        settings = remote(port)
        service.put(str(settings.place(signature)), graph)
        return builder("remote", remote=settings)(graph, signature, count)

    return build
