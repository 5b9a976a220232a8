"""Errors over gRPC, both ways: each class's status code, and a trailer that names the class for our own clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import grpc

from stripwatch.errors import (
    BadInput,
    Conflict,
    CursorLost,
    DeadlineExceeded,
    NotFound,
    Overloaded,
    PeerUnavailable,
    StripwatchError,
    Unauthenticated,
)

RETRY_AFTER = "retry-after-ms"
ERROR_CLASS = "stripwatch-error"
_DETAIL_BYTES = 2_000
"""Details travel in a header, where a byte may take three: above 8 KiB peers drop calls by chance, hiding the error."""


def _family(root: type[StripwatchError]) -> Iterator[type[StripwatchError]]:
    yield root
    for child in root.__subclasses__():
        yield from _family(child)


CLASSES: dict[str, type[StripwatchError]] = {cls.__name__: cls for cls in _family(StripwatchError)}

_BY_CODE: dict[grpc.StatusCode, type[StripwatchError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: BadInput,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: Conflict,
    grpc.StatusCode.UNIMPLEMENTED: Conflict,
    grpc.StatusCode.OUT_OF_RANGE: CursorLost,
    grpc.StatusCode.UNAVAILABLE: PeerUnavailable,
    grpc.StatusCode.CANCELLED: PeerUnavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
}
"""For servers that name no class: other software's, and gRPC itself."""


_TLS_WORDS = {
    "Hostname Verification Check failed": "its certificate is for another name than the one dialled",
    "certificate has expired": "its certificate has expired",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is of no authority in STRIPWATCH_TLS_CA",
    "WRONG_VERSION_NUMBER": "it speaks plain text, we speak TLS",
    "Socket closed": "it closed the connection; it may be gone, or speak TLS, or ask for a certificate of ours",
}
"""What gRPC says where TLS fails, in words; the first that fits."""


def code_of(error: StripwatchError) -> grpc.StatusCode:
    return grpc.StatusCode[error.grpc_status]


def abort(context: grpc.ServicerContext, error: StripwatchError) -> NoReturn:
    """Ends the call with the error's status; Overloaded says in the trailer `retry-after-ms` when to try again."""
    trailers = [(ERROR_CLASS, type(error).__name__)]
    if isinstance(error, Overloaded):
        trailers.append((RETRY_AFTER, str(max(1, round(error.retry_after_s * 1000)))))
    context.set_trailing_metadata(tuple(trailers))
    context.abort(code_of(error), str(error).encode()[:_DETAIL_BYTES].decode(errors="ignore"))
    raise error  # abort never returns; its stub does not say so


def error_of(peer: str, failure: grpc.RpcError) -> StripwatchError:
    """The error that a failed call to `peer` stands for."""
    if not isinstance(failure, grpc.Call):
        return PeerUnavailable(f"{peer}: {failure or type(failure).__name__}")
    code = failure.code()
    trailers = {key: str(value) for key, value in failure.trailing_metadata() or ()}
    message = f"{peer}: {explained(failure.details() or '') or code.name}"
    named = CLASSES.get(trailers.get(ERROR_CLASS, ""))
    if named is None and code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in message:
        return BadInput(message)  # gRPC's own word for a message over its limit: no retry will help
    cls = named or _BY_CODE.get(code, StripwatchError)
    if issubclass(cls, Overloaded):
        hint = trailers.get(RETRY_AFTER, "")
        return cls(message, retry_after_s=int(hint) / 1000) if hint.isdecimal() else cls(message)
    return cls(message)


def explained(details: str) -> str:
    """gRPC's own text, after what it means where certificates are at fault."""
    meaning = next((said for word, said in _TLS_WORDS.items() if word in details), None)
    return f"{meaning} ({details})" if meaning else details
