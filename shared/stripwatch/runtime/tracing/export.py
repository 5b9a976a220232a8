"""Spans on OpenTelemetry's SDK, sent to a collector over OTLP/gRPC: in the background, and never waited for."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType

import grpc
from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

import stripwatch
from stripwatch.runtime.fresh import Fresh
from stripwatch.runtime.tls import TlsFiles
from stripwatch.runtime.tracing.context import ids
from stripwatch.runtime.tracing.span import Fact, Here, Span, SpanKind

log = logging.getLogger(__name__)

MOST_WAITING = 4096
"""Spans that wait for the collector; those that come beyond them are lost."""
SEND_EVERY_MS = 1000
SEND_S = 5.0
"""For one sending, with what is tried again of it."""

_KINDS = {one: api.SpanKind[one.name] for one in SpanKind}


class Export:
    """A tracer whose spans go to one collector. SettingsInvalid if the files for TLS cannot be used."""

    def __init__(self, service: str, endpoint: str, tls: TlsFiles | None) -> None:
        """`endpoint` is http://HOST:PORT, or https://... with the authorities of `tls`, else with the system's."""
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it tells of every try
        self._exporter = _Told(endpoint, tls)
        resource = Resource.create(
            {
                "service.namespace": "stripwatch",
                "service.name": f"stripwatch-{service}",
                "service.version": stripwatch.__version__,
                "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
            }
        )
        self._provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(self._exporter, max_queue_size=MOST_WAITING, schedule_delay_millis=SEND_EVERY_MS)
        )
        self._tracer = self._provider.get_tracer("stripwatch", stripwatch.__version__)

    def span(
        self,
        name: str,
        kind: SpanKind,
        parent: str,
        links: Iterable[str],
        facts: Mapping[str, Fact] | None,
        at_ns: int | None,
    ) -> Span:
        context = Context()
        if parent:
            context = api.set_span_in_context(api.NonRecordingSpan(_remote(parent)), context)
        given = [api.Link(_remote(one)) for one in links if one]
        return _Taken(self, self._tracer.start_span(name, context, _KINDS[kind], facts, given, at_ns))

    def close(self, seconds: float) -> None:
        giving_up = threading.Timer(seconds, self._exporter.shutdown)  # the SDK would wait for half a minute
        giving_up.daemon = True
        giving_up.start()
        self._provider.shutdown()
        giving_up.cancel()


class _Taken:
    """A span of the SDK."""

    def __init__(self, tracer: Export, span: api.Span) -> None:
        self._tracer = tracer
        self._span = span
        known = span.get_span_context()
        self.context = f"00-{known.trace_id:032x}-{known.span_id:016x}-01"

    def __bool__(self) -> bool:
        return True

    def child(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        *,
        links: Iterable[str] = (),
        facts: Mapping[str, Fact] | None = None,
        at_ns: int | None = None,
    ) -> Span:
        return self._tracer.span(name, kind, self.context, links, facts, at_ns)

    def link(self, context: str) -> None:
        if context:
            self._span.add_link(_remote(context))

    def note(self, facts: Mapping[str, Fact]) -> None:
        self._span.set_attributes(facts)

    def end(self, fault: str = "", *, at_ns: int | None = None) -> None:
        if fault:
            self._span.set_status(api.Status(api.StatusCode.ERROR, fault))
        self._span.end(at_ns)

    def here(self) -> AbstractContextManager[object]:
        return Here(self)

    def __enter__(self) -> Span:
        self._block = Here(self)
        return self._block.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._block.__exit__()
        self.end(f"{kind.__name__}: {error}" if kind else "")


class _Told(SpanExporter):
    """Says once that the collector takes nothing, and once that it does again; goes by the newest files for TLS."""

    def __init__(self, endpoint: str, tls: TlsFiles | None) -> None:
        self._endpoint = endpoint
        self._fresh = Fresh("files for TLS of the traces", tls.read) if tls and endpoint.startswith("https:") else None
        self._pems = self._fresh.now() if self._fresh else None
        self._inner = self._opened()
        self._away = False

    def _opened(self) -> SpanExporter:
        secure, pems = self._endpoint.startswith("https:"), self._pems
        shown = (pems.ca, pems.key, pems.certificate) if pems else ()
        credentials = grpc.ssl_channel_credentials(*shown) if secure else None
        return OTLPSpanExporter(self._endpoint, not secure, credentials, timeout=SEND_S)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._fresh and (newest := self._fresh.now()) != self._pems:
            self._pems = newest
            self._inner.shutdown()
            self._inner = self._opened()
        result = self._inner.export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away and not self._away:
            log.warning("traces are lost: the collector does not take them", extra={"endpoint": self._endpoint})
        elif self._away and not away:
            log.info("traces are taken again", extra={"endpoint": self._endpoint})
        self._away = away
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()


def _remote(context: str) -> api.SpanContext:
    trace_id, span_id = ids(context)
    return api.SpanContext(int(trace_id, 16), int(span_id, 16), True, api.TraceFlags(api.TraceFlags.SAMPLED))
