"""What surrounds every call to our own servicers: known errors become their status, and calls are counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import grpc

from stripwatch.errors import StripwatchError
from stripwatch.rpc.status import abort
from stripwatch.runtime.metrics.service import ServedCalls

log = logging.getLogger(__name__)

OURS = "/stripwatch."


def codecs(handler: Any) -> dict[str, Any]:
    """How a handler's messages are read and written, for one that takes its place."""
    return {
        "request_deserializer": handler.request_deserializer,
        "response_serializer": handler.response_serializer,
    }


class Calls(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in its stub only
    """Wraps unary and server-streaming methods of stripwatch's services; health and reflection stay as they are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unary = 0
        self._served = ServedCalls()

    @property
    def in_flight(self) -> int:
        """Unary calls now in a handler. Streams are not counted: they end when the client or the server goes."""
        return self._unary

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        handler, method = continuation(handler_call_details), handler_call_details.method
        if handler is None or not method.startswith(OURS):
            return handler
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._one(handler.unary_unary, method), **codecs(handler))
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(self._many(handler.unary_stream, method), **codecs(handler))
        return handler

    def _one(
        self, inner: Callable[[Any, grpc.ServicerContext], Any], method: str
    ) -> Callable[[Any, grpc.ServicerContext], Any]:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            with self._lock:
                self._unary += 1
            try:
                given = inner(request, context)
                self._served.answered(method, "OK")
            except Exception as error:
                self._refuse(context, error, method)
            else:
                return given
            finally:
                with self._lock:
                    self._unary -= 1

        return answer

    def _many(
        self, inner: Callable[[Any, grpc.ServicerContext], Iterator[Any]], method: str
    ) -> Callable[[Any, grpc.ServicerContext], Iterator[Any]]:
        def answers(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                yield from inner(request, context)
                # A servicer that sees for itself that its caller is gone ends like one that is through.
                self._served.answered(method, "OK" if context.is_active() else "CANCELLED")
            except GeneratorExit:
                self._served.answered(method, "CANCELLED")
                raise
            except Exception as error:
                self._refuse(context, error, method)

        return answers

    def _refuse(self, context: grpc.ServicerContext, error: Exception, method: str) -> NoReturn:
        if not isinstance(error, StripwatchError):
            log.exception("a call failed by a fault of ours")
            error = StripwatchError(f"fault in the service: {type(error).__name__}")
        self._served.answered(method, error.grpc_status)
        abort(context, error)
