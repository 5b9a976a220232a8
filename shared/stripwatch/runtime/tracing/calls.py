"""Spans around gRPC calls, as OpenTelemetry's semantic conventions for RPC name them; METHOD is `SERVICE/NAME`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stripwatch.runtime.tracing.context import traceparent
from stripwatch.runtime.tracing.span import NOTHING, Fact, Span, SpanKind
from stripwatch.runtime.tracing.switch import follow

HEADER = "traceparent"
"""Of a call's metadata."""


def asked(context: str, method: str, address: str, facts: Mapping[str, Fact]) -> Span:
    """A call to another service, on behalf of a step with that context."""
    if not context:
        return NOTHING
    told = {"rpc.system.name": "grpc", "rpc.method": method, "server.address": address, **facts}
    return follow(context, method, SpanKind.CLIENT, facts=told)


def answered(metadata: Iterable[tuple[str, str | bytes]], method: str) -> Span:
    """A call of somebody else; NOTHING unless its metadata hold the context of a trace that is taken."""
    context = next((traceparent(value) for key, value in metadata if key == HEADER), "")
    return follow(context, method, SpanKind.SERVER, facts={"rpc.system.name": "grpc", "rpc.method": method})


def metadata(span: Span) -> tuple[tuple[str, str], ...] | None:
    """What the call takes along."""
    return ((HEADER, span.context),) if span else None


def came(span: Span, code: str, reason: str) -> None:
    """Ends the span of a call whose answer came: OK, UNAVAILABLE, ..., and if it is none why."""
    span.note({"rpc.response.status_code": code})
    span.end("" if code == "OK" else reason or code)
