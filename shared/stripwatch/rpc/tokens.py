"""Bearer tokens: who may call. Only their hashes are kept, so none can come out again."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import grpc

from stripwatch.errors import SettingsInvalid, Unauthenticated
from stripwatch.rpc.calls import OURS, codecs
from stripwatch.runtime.fresh import Fresh

Tokens = Callable[[], Mapping[str, bytes]]
"""The hashes of the tokens that are good now, by name."""

_ENTRY = re.compile(r"([A-Za-z0-9_.-]{1,64}):([A-Za-z0-9._~+/=-]{16,512})")


def parse_tokens(text: str) -> dict[str, bytes]:
    """From NAME:TOKEN a line, or by comma; `#` starts a comment. SettingsInvalid says which entry, never what it is."""
    found: dict[str, bytes] = {}
    for number, entry in enumerate(re.split(r"[\n,]", text), start=1):
        if not entry.strip() or entry.lstrip().startswith("#"):
            continue
        parts = _ENTRY.fullmatch(entry.strip())
        if parts is None or parts[1] in found:
            raise SettingsInvalid(
                "tokens: expected NAME:TOKEN, each name once, tokens of 16 or more letters, digits or ._~+/=-, "
                f"got something else as entry {number}"
            )
        found[parts[1]] = _hash(parts[2])
    if not found:
        raise SettingsInvalid("tokens: expected one NAME:TOKEN or more, got none")
    return found


def tokens_in(path: Path) -> Tokens:
    """Those of a file; it is read again when it changes, so that a token can be replaced. SettingsInvalid."""

    def read() -> dict[str, bytes]:
        try:
            return parse_tokens(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsInvalid(f"tokens: cannot read {path}: {getattr(error, 'strerror', 'no text')}") from None

    return Fresh("tokens", read).now


class Bearer(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in its stub only
    """Lets calls to stripwatch's services in that carry `authorization: Bearer TOKEN`; health and reflection are open.

    A token that was taken away ends a stream before its next answer.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        handler = continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(OURS):
            return handler
        shown = _token(handler_call_details.invocation_metadata)
        if not self._known(shown):  # nothing of such a request is parsed
            return _refusal(handler)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(self._watched(handler.unary_stream, shown), **codecs(handler))
        return handler

    def _watched(self, inner: Callable[..., Iterator[Any]], shown: bytes) -> Callable[..., Iterator[Any]]:
        def answers(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            for answer in inner(request, context):
                if not self._known(shown):
                    _refuse()
                yield answer

        return answers

    def _known(self, shown: bytes) -> bool:
        # every hash is compared, and each in constant time: how long it takes says nothing of any token
        return sum([hmac.compare_digest(shown, known) for known in self._tokens().values()]) > 0


def _token(metadata: Any) -> bytes:
    """The hash of what the caller showed; of nothing, if it showed none."""
    values = [value for key, value in metadata or () if key == "authorization" and isinstance(value, str)]
    scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    return _hash(token.strip() if scheme.lower() == "bearer" else "")


def _refusal(handler: Any) -> Any:
    if handler.unary_unary is not None:
        return grpc.unary_unary_rpc_method_handler(_refuse)
    return grpc.unary_stream_rpc_method_handler(_refuse)


def _refuse(*_: object) -> NoReturn:
    raise Unauthenticated("expected the metadata `authorization: Bearer TOKEN` with a token that is known")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
