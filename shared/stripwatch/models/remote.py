"""A server of the Open Inference Protocol behind `ports.Engine`: what it runs is proven as any other engine is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stripwatch.domain.model import ModelRef
from stripwatch.errors import ModelInvalid, ModelNotReady, StripwatchError
from stripwatch.models.graph import Port, Shape, Signature, check
from stripwatch.ports import Descriptors, Outputs, Scores, Tiles
from stripwatch.rpc.inference import Answer, InferenceServer, Place
from stripwatch.rpc.oip import open_inference_pb2 as pb
from stripwatch.runtime.tls import TlsFiles

HEAD = "-head"
"""Ends the name of a model's second graph: a server knows it as a model of its own."""

_TYPES = {"UINT8": "uint8", "FP32": "float32"}
_NAMES = {name: kind for kind, name in _TYPES.items()}
_FLOAT = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Remote:
    """Where the models run: `model` is NAME or NAME/VERSION there, of {name} and {version}; a call has `seconds`."""

    address: str
    tls: TlsFiles | None
    model: str
    seconds: float
    max_batch: int

    def place(self, signature: Signature) -> Place:
        """What a graph is called there."""
        ref = ModelRef.parse(signature.model.partition(" ")[0])
        name, _, version = self.model.replace("{name}", ref.name).replace("{version}", ref.version).partition("/")
        return Place(f"{name}{HEAD if signature.head else ''}", version)


class RemoteEngines:
    """Makes engines that share one connection; whatever the server gets wrong at first, it may get right later."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._server = InferenceServer(remote.address, remote.tls, remote.seconds)

    def __call__(self, _graph: bytes, signature: Signature, count: int = 1) -> tuple[RemoteEngine, ...]:
        """`count` engines are so many calls at once. ModelNotReady if the server's model is another than ours."""
        place = self._remote.place(signature)
        self._server.check_ready(place)
        told = self._server.metadata(place)
        if told.inputs or told.outputs:  # all that is optional; what it gives is proven in any case
            try:
                check(signature, _ports(told.inputs, signature), _ports(told.outputs, signature))
            except ModelInvalid as error:
                raise ModelNotReady(f"{self._server}, its model {place}: {error}") from error
        return (RemoteEngine(self._server, place, signature, self._remote.max_batch),) * count


class RemoteEngine:
    """One graph at the server. Its name says who ran it, as far as the server says that itself.

    Once it was not ready, it stays so: whoever comes back may be another, and has to be proven again.
    """

    def __init__(self, server: InferenceServer, place: Place, signature: Signature, max_batch: int) -> None:
        self._server, self._place = server, place
        self._signature, self._max_batch = signature, max_batch
        self._identity = server.identity(place)
        self._lost: str | None = None
        self.name = f"remote/{self._identity}"

    def __call__(self, rows: Tiles | Descriptors) -> Scores:
        return self.run(rows)[0]

    def run(self, rows: Tiles | Descriptors, extras: tuple[str, ...] = ()) -> Outputs:
        """(N, ...) rows to (N, ...) float32: the scores, then each extra; in calls of at most the batch's limit."""
        wanted = self._signature
        if rows.shape[1:] != wanted.shape or rows.dtype != wanted.dtype:
            raise ModelNotReady(
                f"model {wanted.model}: its engine failed: expected rows {wanted.shape} {wanted.dtype}, "
                f"got {rows.shape[1:]} {rows.dtype}"
            )
        names = (wanted.scores, *extras)
        calls: list[tuple[int, Answer]] = []
        try:
            calls.extend((len(part), self._server.send(self._request(part, names))) for part in self._parts(rows))
            found = [self._read(call.result(), count, names) for count, call in calls]
        except StripwatchError:
            for _, call in calls:
                call.cancel()
            raise
        return found[0] if len(found) == 1 else tuple(np.concatenate(pieces) for pieces in zip(*found, strict=True))

    def ready(self) -> str | None:
        """Asks the server: None if it has the model ready, and is the one that the model was proven on."""
        if self._lost is None:
            try:
                self._server.check_ready(self._place)
                now = self._server.identity(self._place)
            except StripwatchError as error:
                self._lost = f"model {self._signature.model}: {error}"
            else:
                if now != self._identity:
                    self._lost = (
                        f"model {self._signature.model}: {self._server} was {self._identity} when the model was "
                        f"proven, and is {now} now"
                    )
        return self._lost

    def _parts(self, rows: Tiles | Descriptors) -> Iterator[Tiles | Descriptors]:
        for at in range(0, max(1, len(rows)), self._max_batch):
            yield rows[at : at + self._max_batch]

    def _request(self, rows: Tiles | Descriptors, names: tuple[str, ...]) -> pb.ModelInferRequest:
        request = pb.ModelInferRequest(model_name=self._place.name, model_version=self._place.version)
        request.inputs.add(name=self._signature.input, datatype=_NAMES[self._signature.dtype], shape=rows.shape)
        request.raw_input_contents.append(rows.astype(rows.dtype.newbyteorder("<"), copy=False).tobytes())
        for name in names:
            request.outputs.add(name=name)
        return request

    def _read(self, answer: pb.ModelInferResponse, count: int, names: tuple[str, ...]) -> Outputs:
        at = {output.name: number for number, output in enumerate(answer.outputs)}
        missing = [name for name in names if name not in at]
        if missing:
            raise self._odd(f"expected outputs {list(names)}, got {list(at)}")
        return tuple(self._tensor(answer, at[name], (count, *self._signature.outputs[name])) for name in names)

    def _tensor(self, answer: pb.ModelInferResponse, number: int, shape: Shape) -> npt.NDArray[np.float32]:
        """An output's values, of bytes or typed; a last dimension of 1 is what some servers add to (N,)."""
        output, raw = answer.outputs[number], answer.raw_output_contents
        if output.datatype != "FP32" or not _same(tuple(output.shape), shape):
            raise self._odd(f"expected {output.name} FP32 {shape}, got {output.datatype} {tuple(output.shape)}")
        if raw:
            data = raw[number] if number < len(raw) else b""
            values = np.frombuffer(data, _FLOAT) if len(data) % _FLOAT.itemsize == 0 else np.empty(0, _FLOAT)
        else:
            values = np.array(output.contents.fp32_contents, np.float32)
        if values.size != math.prod(shape):
            raise self._odd(f"expected {output.name} of {math.prod(shape)} values, got {values.size}")
        return values.reshape(shape).astype(np.float32, copy=False)

    def _odd(self, text: str) -> ModelNotReady:
        return ModelNotReady(f"model {self._signature.model}: {self._server}: {text}")


def _same(given: Shape, expected: Shape) -> bool:
    return given in (expected, (*expected, 1))


def _ports(tensors: Any, signature: Signature) -> dict[str, Port]:
    """As the server tells them. To (N,) some servers add a last dimension of 1."""
    expected = {signature.input: signature.shape, **signature.outputs}
    found = {}
    for one in tensors:
        shape = [None if size < 0 else size for size in one.shape]
        if len(shape) == len(expected.get(one.name, shape)) + 2 and shape[-1] == 1:
            shape.pop()
        found[one.name] = Port(_TYPES.get(one.datatype, one.datatype), shape)
    return found
