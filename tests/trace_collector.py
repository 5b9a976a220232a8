"""A collector for tests: takes traces over OTLP/gRPC, as its protocol says, and keeps their spans."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as pb_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from e2e_parts import until
from stripwatch.rpc.credentials import server_credentials
from stripwatch.runtime import tracing
from stripwatch.runtime.settings import ServiceSettings, load
from stripwatch.runtime.tls import TlsFiles


@dataclass(frozen=True)
class Seen:
    """A span as it came."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    links: tuple[tuple[str, str], ...]
    """Trace and span of each."""
    facts: dict[str, Any]
    fault: str
    began_ns: int
    ended_ns: int


class Collector(pb_grpc.TraceServiceServicer):
    """All spans that came."""

    def __init__(self, *, secure: bool = False) -> None:
        self._scheme = "https" if secure else "http"
        self.port = 0
        self._lock = threading.Lock()
        self._seen: list[Seen] = []

    def Export(self, request: pb.ExportTraceServiceRequest, _context: Any) -> Any:  # noqa: N802
        found = [
            _seen(span, {one.key: _value(one.value) for one in resource.resource.attributes})
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            self._seen += found
        return pb.ExportTraceServiceResponse()

    @property
    def endpoint(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def spans(self, name: str = "", service: str = "", **facts: Any) -> list[Seen]:
        """Those of a name, of a service and with certain facts (`stripwatch.` left out), in order of their begin."""
        with self._lock:
            found = sorted(self._seen, key=lambda one: one.began_ns)
        return [
            one
            for one in found
            if name in ("", one.name)
            and service in ("", one.service.removeprefix("stripwatch-"))
            and all(one.facts.get(f"stripwatch.{key}") == value for key, value in facts.items())
        ]

    def wait_for(self, condition: Callable[[Collector], bool], what: str) -> None:
        until(lambda: condition(self), what)


def _seen(span: Message, resource: dict[str, Any]) -> Seen:
    return Seen(
        service=resource["service.name"],
        name=span.name,
        kind=Message.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        facts={one.key: _value(one.value) for one in span.attributes},
        fault=span.status.message if span.status.code == Status.STATUS_CODE_ERROR else "",
        began_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
    )


def _value(given: Any) -> Any:
    return getattr(given, given.WhichOneof("value"))


@contextmanager
def collector(tls: TlsFiles | None = None) -> Iterator[Collector]:
    """Listens on loopback for as long as the block lasts; with `tls` over TLS, to those who have a certificate."""
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    servicer = Collector(secure=tls is not None)
    pb_grpc.add_TraceServiceServicer_to_server(servicer, server)
    if tls:
        servicer.port = server.add_secure_port("127.0.0.1:0", server_credentials(tls))
    else:
        servicer.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield servicer
    finally:
        server.stop(None).wait()


@contextmanager
def tracing_into(service: str, sample: float = 1.0) -> Iterator[Collector]:
    """A collector that this process sends its traces to; they are there after `tracing.close()`."""
    with collector() as found:
        tracing.configure(service, load(ServiceSettings, traces_endpoint=found.endpoint, traces_sample=sample))
        yield found
        tracing.close()
