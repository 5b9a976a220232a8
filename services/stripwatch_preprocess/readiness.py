"""Whether the worker can do its work now."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stripwatch.errors import StripwatchError
from stripwatch.ports import Stream

ANSWER_S = 1.0


class Readiness:
    """Ready while Redis answers and every model service that we were given says that it is ready."""

    def __init__(self, stream: Stream, services: Sequence[Callable[[float], str | None]]) -> None:
        self._stream = stream
        self._services = services

    def __call__(self) -> str | None:
        """None, or the reason why not."""
        try:
            self._stream.ping()
        except StripwatchError as error:
            return str(error)
        reasons = [reason for ready in self._services if (reason := ready(ANSWER_S)) is not None]
        return "; ".join(reasons) or None
