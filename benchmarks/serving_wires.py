"""How a client asks: one function a way, from (N, channels, size, size) uint8 tiles to (N, classes) probabilities."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import numpy.typing as npt

from stripwatch.domain.recipe import Role
from stripwatch.domain.result import QUANTUM
from stripwatch.errors import StripwatchError
from stripwatch.models.manifest import read_manifest
from stripwatch.models.onnx import OnnxEngine
from stripwatch.rpc.client import RemoteScorer
from stripwatch.rpc.oip import open_inference_pb2 as pb
from stripwatch.rpc.oip import open_inference_pb2_grpc as pb_grpc

Tiles = npt.NDArray[np.uint8]
Scores = npt.NDArray[np.float32]
Ask = Callable[[Tiles], Scores]

CALL_S = 60.0
_HTTP_OK = 200
_MOST_BYTES = 2**24


@dataclass(frozen=True, slots=True)
class Target:
    """Where to ask, and how: `wire` is engine, stripwatch, http (raw bytes), json or open_inference.

    `folder` is the model's, NAME/VERSION.
    """

    wire: str
    folder: Path
    port: int = 0
    path: str = ""


def open_wire(target: Target) -> Callable[[], Ask]:
    """What gives each thread of a client its own way to ask: all share a channel, HTTP connections are one a thread."""
    return _WIRES[target.wire](target)


def engine(folder: Path) -> Ask:
    """The model in this process, with the session that the service opens."""
    manifest = read_manifest(folder)
    return OnnxEngine((folder / "model.onnx").read_bytes(), manifest.graph)


def _engine(target: Target) -> Callable[[], Ask]:
    return lambda: engine(target.folder)


def _stripwatch(target: Target) -> Callable[[], Ask]:
    scorer = RemoteScorer(Role.CLASSIFIER, f"127.0.0.1:{target.port}")
    spec = scorer.describe(f"{target.folder.parent.name}/{target.folder.name}", CALL_S)

    def ask(tiles: Tiles) -> Scores:
        return scorer.submit(spec, tiles, CALL_S).result() * np.float32(QUANTUM)

    return lambda: ask


def _http(target: Target) -> Callable[[], Ask]:
    def one() -> Ask:
        post = _post(target, "application/octet-stream")
        return lambda tiles: np.frombuffer(post(memoryview(tiles).cast("B")), np.float32).reshape(len(tiles), -1)

    return one


def _json(target: Target) -> Callable[[], Ask]:
    def one() -> Ask:
        post = _post(target, "application/json")
        return lambda tiles: np.array(json.loads(post(json.dumps({"tiles": tiles.tolist()}).encode())), np.float32)

    return one


def _post(target: Target, kind: str) -> Callable[[bytes | memoryview], bytes]:
    """Over one connection that stays open."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=CALL_S)

    def post(body: bytes | memoryview) -> bytes:
        connection.request("POST", target.path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        data = answer.read()
        if answer.status != _HTTP_OK:
            raise StripwatchError(f"expected HTTP {_HTTP_OK}, got {answer.status}: {data[:200]!r}")
        return data

    return post


def _open_inference(target: Target) -> Callable[[], Ask]:
    sizes = [("grpc.max_send_message_length", _MOST_BYTES), ("grpc.max_receive_message_length", _MOST_BYTES)]
    stub = pb_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(f"127.0.0.1:{target.port}", options=sizes))

    def ask(tiles: Tiles) -> Scores:
        request = pb.ModelInferRequest(model_name="classifier")
        sent = request.inputs.add(name="tiles", datatype="BYTES", shape=[len(tiles), 1])
        sent.contents.bytes_contents.extend(tile.tobytes() for tile in tiles)
        answer = stub.ModelInfer(request, timeout=CALL_S).outputs[0]
        return np.array(answer.contents.fp32_contents, np.float32).reshape(tuple(answer.shape))

    return lambda: ask


_WIRES: dict[str, Callable[[Target], Callable[[], Ask]]] = {
    "engine": _engine,
    "stripwatch": _stripwatch,
    "http": _http,
    "json": _json,
    "open_inference": _open_inference,
}
