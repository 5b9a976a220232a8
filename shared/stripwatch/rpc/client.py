"""The model services as their caller sees them: `ports.Scorer` over gRPC."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
import numpy as np
import numpy.typing as npt

from stripwatch.domain.model import ModelKind, ModelSpec
from stripwatch.domain.recipe import Role
from stripwatch.errors import BadInput, PeerUnavailable
from stripwatch.ports import Descriptors, Tiles
from stripwatch.rpc import health
from stripwatch.rpc.codec.models import descriptors_from, descriptors_to, encode_tiles, spec_from, units_from
from stripwatch.rpc.link import Link
from stripwatch.rpc.status import error_of
from stripwatch.rpc.v1 import model_pb2 as pb
from stripwatch.rpc.v1 import model_pb2_grpc as pb_grpc
from stripwatch.runtime.metrics.requests import RequestMeter
from stripwatch.runtime.tls import TlsFiles
from stripwatch.runtime.tracing import NOTHING, Span, calls

SERVICES = {
    Role.CLASSIFIER: "stripwatch.rpc.v1.Classifier",
    Role.ANOMALY: "stripwatch.rpc.v1.AnomalyScorer",
}

_CLASSIFY, _SCORE = f"/{SERVICES[Role.CLASSIFIER]}/Classify", f"/{SERVICES[Role.ANOMALY]}/Score"


class _Stubs:
    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.classifier = pb_grpc.ClassifierStub(channel)
        self.anomaly = pb_grpc.AnomalyScorerStub(channel)
        # As bytes: written by hand, tiles are copied once on their way out and not four times.
        raw: Any = channel  # whose stub knows no call without a serializer
        self.classify = raw.unary_unary(_CLASSIFY, response_deserializer=pb.ClassifyResponse.FromString)
        self.score = raw.unary_unary(_SCORE, response_deserializer=pb.ScoreResponse.FromString)


class RemoteScorer:
    """One model service. Opens its connections by itself and keeps them; every call has its time limit.

    Raises what the service answered, as the same class that the service raised; PeerUnavailable if it does not.
    """

    def __init__(self, role: Role, address: str, tls: TlsFiles | None = None) -> None:
        """Over TLS with `tls`, plain without. SettingsInvalid if the files cannot be used."""
        self.role = role
        self.address = address
        self._peer = f"{role.value} at {address}"
        self._link = Link(address, tls, _Stubs)
        self._meter = RequestMeter(role)

    def describe(self, model: str, timeout_s: float) -> ModelSpec:
        stubs = self._link.now()
        stub = stubs.classifier if self.role is Role.CLASSIFIER else stubs.anomaly
        try:
            answer = stub.Describe(pb.DescribeRequest(model=model), timeout=timeout_s)
        except (grpc.RpcError, ValueError) as error:
            _raise(self._peer, error)
        try:
            spec = spec_from(answer)
        except (BadInput, ValueError) as error:
            raise PeerUnavailable(f"{self._peer}: it described {model} in a way we do not know: {error}") from error
        if spec.kind is not ModelKind(self.role.value):
            raise PeerUnavailable(f"{self._peer}: expected {model} to be of kind {self.role.value}, got {spec.kind}")
        return spec

    def submit(
        self, spec: ModelSpec, tiles: Tiles, timeout_s: float, *, descriptors: bool = False, trace: str = ""
    ) -> RemotePending:
        """Sends (N, channels, size, size) tiles off; does not wait: failures come out of `result`."""
        model = str(spec.ref)
        if self.role is Role.CLASSIFIER:
            request = encode_tiles(pb.ClassifyRequest(model=model, descriptors=descriptors), tiles)
        else:
            request = encode_tiles(pb.ScoreRequest(model=model), tiles)
        return self._send(request, spec, len(tiles), timeout_s, trace)

    def submit_descriptors(
        self, spec: ModelSpec, descriptors: Descriptors, timeout_s: float, *, trace: str = ""
    ) -> RemotePending:
        """As `submit`, with (N, width) descriptors of the spec's backbone for an anomaly scorer that takes them."""
        backbone = spec.descriptors.backbone_sha256 if spec.descriptors else ""
        request = pb.ScoreRequest(model=str(spec.ref), descriptors=descriptors_to(descriptors, backbone))
        return self._send(request.SerializeToString(), spec, len(descriptors), timeout_s, trace)

    def _send(self, request: bytes, spec: ModelSpec, count: int, timeout_s: float, trace: str) -> RemotePending:
        stubs, sent_at = self._link.now(), time.monotonic()
        method = stubs.classify if self.role is Role.CLASSIFIER else stubs.score
        span = self._span(trace, spec, count) if trace else NOTHING
        try:
            call = method.future(request, timeout=timeout_s, metadata=calls.metadata(span))
        except (grpc.RpcError, ValueError) as error:
            span.end(str(error))
            _raise(self._peer, error)
        call.add_done_callback(lambda ended: self._meter.answered(ended.code().name, sent_at))
        if span:
            call.add_done_callback(lambda ended: calls.came(span, ended.code().name, ended.details() or ""))
        return RemotePending(self._peer, spec, count, call)

    def _span(self, trace: str, spec: ModelSpec, count: int) -> Span:
        method = (_CLASSIFY if self.role is Role.CLASSIFIER else _SCORE)[1:]
        return calls.asked(trace, method, self.address, {"stripwatch.model": str(spec.ref), "stripwatch.tiles": count})

    def ready(self, timeout_s: float) -> str | None:
        """None if the service says that it is ready, otherwise why not."""
        channel = self._link.now().channel
        status = health.status_on(channel, timeout_s, SERVICES[self.role])
        if status == health.UNREACHABLE:
            return f"{self._peer}: {status}: {health.obstacle(channel)}"
        return None if status == health.SERVING else f"{self._peer}: {status}"

    def close(self) -> None:
        self._link.close()


@dataclass(frozen=True, slots=True)
class RemotePending:
    """A batch of `count` tiles, or of their descriptors, on its way to `peer`."""

    peer: str
    spec: ModelSpec
    count: int
    call: Any

    def done(self) -> bool:
        return bool(self.call.done())

    def when_done(self, wake: Callable[[], None]) -> None:
        self.call.add_done_callback(lambda _call: wake())

    def cancel(self) -> None:
        self.call.cancel()

    def result(self) -> npt.NDArray[np.int32]:
        return self._units(self._answer())

    def descriptors(self) -> Descriptors:
        """(count, width); others than those of the spec's backbone count as no answer."""
        given, expected = self._answer().descriptors, self.spec.descriptors
        got = (given.count, given.width, given.backbone_sha256)
        if expected is None or got != (self.count, expected.width, expected.backbone_sha256):
            raise PeerUnavailable(
                f"{self.peer}: expected {self.count} descriptors of {self.spec.ref} as {expected}, got {got}"
            )
        try:
            return descriptors_from(given)
        except BadInput as error:
            raise PeerUnavailable(f"{self.peer}: {error}") from error

    def _answer(self) -> Any:
        try:
            return self.call.result()
        except (grpc.RpcError, grpc.FutureCancelledError, ValueError) as error:
            _raise(self.peer, error)

    def _units(self, answer: pb.ClassifyResponse | pb.ScoreResponse) -> npt.NDArray[np.int32]:
        """(count, classes) or (count,) scores; an answer to something else than we asked counts as none."""
        if isinstance(answer, pb.ClassifyResponse):
            shape: tuple[int, ...] = (answer.count, answer.classes)
            expected: tuple[int, ...] = (self.count, len(self.spec.classes))
            data = answer.probabilities
        else:
            shape, expected, data = (answer.count,), (self.count,), answer.scores
        if answer.model != str(self.spec.ref) or shape != expected:
            raise PeerUnavailable(
                f"{self.peer}: expected {expected} scores of {self.spec.ref}, got {shape} of {answer.model!r}"
            )
        try:
            return units_from(data, expected)
        except BadInput as error:
            raise PeerUnavailable(f"{self.peer}: {error}") from error


def _raise(peer: str, error: Exception) -> NoReturn:
    if isinstance(error, grpc.FutureCancelledError):
        raise PeerUnavailable(f"{peer}: the call was cancelled") from error
    if isinstance(error, grpc.RpcError):
        raise error_of(peer, error) from error
    raise PeerUnavailable(f"{peer}: {error}") from error  # gRPC's ValueError: the channel is closed
