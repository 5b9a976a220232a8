"""A server of the Open Inference Protocol as a client sees it: Triton, KServe, OpenVINO Model Server, MLServer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc

from stripwatch.domain.names import shown
from stripwatch.errors import DeadlineExceeded, ModelNotReady, Overloaded, PeerUnavailable, StripwatchError, Unavailable
from stripwatch.rpc.link import Link
from stripwatch.rpc.oip import open_inference_pb2 as pb
from stripwatch.rpc.oip import open_inference_pb2_grpc as pb_grpc
from stripwatch.rpc.status import error_of
from stripwatch.runtime.tls import TlsFiles

_MOST_NAMED = 60
PROBE_MS = 10_000
"""Rarer than to our own services: a gRPC server that was not told otherwise hangs up on who asks for signs of life more
often than every five minutes, unless it had something to say in between, as it has to our questions for readiness."""


@dataclass(frozen=True, slots=True)
class Place:
    """A model at such a server: its name there, and its version; without one the server chooses."""

    name: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name}/{self.version}" if self.version else self.name


class InferenceServer:
    """Every call has `seconds`. A refusal is never the fault of a frame, whose tiles have been checked before.

    So it raises PeerUnavailable if the server does not answer in time, Overloaded if it has too much to do, and
    ModelNotReady with its words whatever else it says. SettingsInvalid if the files for TLS cannot be used.
    """

    def __init__(self, address: str, tls: TlsFiles | None, seconds: float) -> None:
        self._peer = f"inference server at {address}"
        self._link = Link(address, tls, pb_grpc.GRPCInferenceServiceStub, probe_ms=PROBE_MS)
        self._seconds = seconds

    def __str__(self) -> str:
        return self._peer

    def identity(self, place: Place) -> str:
        """The server's name and version, and the platform that it runs the model on, as far as it says them."""
        server = self._ask("ServerMetadata", pb.ServerMetadataRequest())
        platform = self.metadata(place).platform
        parts = (server.name or "unknown", *([server.version] if server.version else []))
        return shown("/".join(parts), _MOST_NAMED) + (f" {shown(platform, _MOST_NAMED)}" if platform else "")

    def metadata(self, place: Place) -> pb.ModelMetadataResponse:
        """What it says of a model."""
        answer: pb.ModelMetadataResponse = self._ask(
            "ModelMetadata", pb.ModelMetadataRequest(name=place.name, version=place.version)
        )
        return answer

    def check_ready(self, place: Place) -> None:
        """ModelNotReady unless the model is ready. A server may be not ready for the sake of another model."""
        if not self._ask("ModelReady", pb.ModelReadyRequest(name=place.name, version=place.version)).ready:
            live = self._ask("ServerLive", pb.ServerLiveRequest()).live
            ready = self._ask("ServerReady", pb.ServerReadyRequest()).ready
            server = "ready" if ready else "live" if live else "not live"
            raise ModelNotReady(f"{self._peer}: its model {place} is not ready, the server itself is {server}")

    def send(self, request: pb.ModelInferRequest) -> Answer:
        """Sends rows off; does not wait: failures come out of the answer."""
        try:
            return Answer(self._peer, self._link.now().ModelInfer.future(request, timeout=self._seconds))
        except (grpc.RpcError, ValueError) as error:
            raise _told(self._peer, error) from error

    def _ask(self, method: str, request: Any) -> Any:
        try:
            return getattr(self._link.now(), method)(request, timeout=self._seconds)
        except (grpc.RpcError, ValueError) as error:
            raise _told(self._peer, error) from error

    def close(self) -> None:
        self._link.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows on their way through the server."""

    peer: str
    call: Any

    def result(self) -> pb.ModelInferResponse:
        """Waits for it; raises as every call."""
        try:
            answer: pb.ModelInferResponse = self.call.result()
        except (grpc.RpcError, grpc.FutureCancelledError, ValueError) as error:
            raise _told(self.peer, error) from error
        return answer

    def cancel(self) -> None:
        self.call.cancel()


def _told(peer: str, error: Exception) -> StripwatchError:
    if not isinstance(error, grpc.RpcError):
        return PeerUnavailable(f"{peer}: {error or type(error).__name__}")  # the channel is closed, the call cancelled
    found = error_of(peer, error)
    if isinstance(found, Overloaded):
        return found
    if isinstance(found, Unavailable | DeadlineExceeded):
        return PeerUnavailable(str(found))
    return ModelNotReady(str(found))
