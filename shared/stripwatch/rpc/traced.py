"""Calls to our own servicers that belong to somebody's trace: each is a span of it, and current in its handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from stripwatch.errors import StripwatchError
from stripwatch.rpc.calls import OURS, codecs
from stripwatch.runtime.tracing import calls


class Traced(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in its stub only
    """Wraps unary methods of stripwatch's services; a watch lasts as long as its client, and is no piece of work."""

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        handler, method = continuation(handler_call_details), handler_call_details.method
        if handler is None or not method.startswith(OURS) or handler.unary_unary is None:
            return handler
        return grpc.unary_unary_rpc_method_handler(_one(handler.unary_unary, method[1:]), **codecs(handler))


def _one(inner: Callable[[Any, grpc.ServicerContext], Any], method: str) -> Callable[[Any, grpc.ServicerContext], Any]:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        span = calls.answered(context.invocation_metadata() or (), method)
        if not span:
            return inner(request, context)
        with span.here():
            try:
                given = inner(request, context)
            except Exception as error:
                code = error.grpc_status if isinstance(error, StripwatchError) else StripwatchError.grpc_status
                calls.came(span, code, str(error))
                raise
            calls.came(span, "OK", "")
            return given

    return answer
