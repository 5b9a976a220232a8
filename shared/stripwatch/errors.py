"""One family of errors; each class says what a caller over gRPC sees.

::

    StripwatchError                INTERNAL              a fault of ours
    ├── BadInput                   INVALID_ARGUMENT      what was expected, what came
    │   ├── FrameUndecodable       INVALID_ARGUMENT      the bytes are no image we take
    │   ├── RecipeInvalid          INVALID_ARGUMENT      which key, what it should be
    │   ├── ModelInvalid           INVALID_ARGUMENT      a model folder whose parts disagree (hash, manifest)
    │   ├── RecordingInvalid       INVALID_ARGUMENT      a recording that cannot be read
    │   └── SettingsInvalid        INVALID_ARGUMENT      which setting, what it should be
    ├── NotFound                   NOT_FOUND             what was asked for, what there is
    ├── Conflict                   FAILED_PRECONDITION   who holds it, or why the step is refused
    │   └── CursorLost             OUT_OF_RANGE          a reader's place that the stream no longer, or not yet, has
    ├── Unavailable                UNAVAILABLE           who is away
    │   ├── StreamUnavailable      UNAVAILABLE           Redis does not answer
    │   ├── ModelNotReady          UNAVAILABLE           not loaded, not warm, or failed its self-test
    │   └── PeerUnavailable        UNAVAILABLE           a service does not answer
    ├── StreamRefused              PERMISSION_DENIED     Redis refuses the user, or what it may not do
    ├── Unauthenticated            UNAUTHENTICATED       no token, or one that is not known
    ├── DeadlineExceeded           DEADLINE_EXCEEDED     the time budget ran out
    └── Overloaded                 RESOURCE_EXHAUSTED    try again after a while
        └── StreamFull             RESOURCE_EXHAUSTED    Redis refuses writes: it is at its memory limit
"""

from __future__ import annotations

from typing import ClassVar


class StripwatchError(Exception):
    """Root of every error stripwatch raises on purpose; its text is fit for a user."""

    grpc_status: ClassVar[str] = "INTERNAL"
    exit_code: ClassVar[int] = 1


class BadInput(StripwatchError):
    """Something from outside is not what it should be; the text says what was expected and what came."""

    grpc_status = "INVALID_ARGUMENT"
    exit_code = 2


class FrameUndecodable(BadInput):
    """A frame's bytes are not an image that stripwatch takes."""


class RecipeInvalid(BadInput):
    """A recipe has an unknown key, or a value outside its range."""


class ModelInvalid(BadInput):
    """A model folder's parts disagree with each other: hash, manifest, graph."""


class RecordingInvalid(BadInput):
    """A recording cannot be read to its end."""


class SettingsInvalid(BadInput):
    """A setting is unknown or outside its range."""


class NotFound(StripwatchError):
    """What was asked for does not exist."""

    grpc_status = "NOT_FOUND"
    exit_code = 2


class Conflict(StripwatchError):
    """The step is refused because of the state that something else is in."""

    grpc_status = "FAILED_PRECONDITION"


class CursorLost(Conflict):
    """A reader's cursor was trimmed away, or lies beyond the stream's end."""

    grpc_status = "OUT_OF_RANGE"


class Unavailable(StripwatchError):
    """A part of the system does not answer; trying again later may help."""

    grpc_status = "UNAVAILABLE"


class StreamUnavailable(Unavailable):
    """Redis does not answer."""


class ModelNotReady(Unavailable):
    """A model is not loaded, not warm, or failed its parity self-test."""


class PeerUnavailable(Unavailable):
    """Another service does not answer."""


class StreamRefused(StripwatchError):
    """Redis does not know the user or its password, or does not let it do this."""

    grpc_status = "PERMISSION_DENIED"


class Unauthenticated(StripwatchError):
    """The caller showed no token, or one that is not known."""

    grpc_status = "UNAUTHENTICATED"


class DeadlineExceeded(StripwatchError):
    """The time budget of a call ran out."""

    grpc_status = "DEADLINE_EXCEEDED"


class Overloaded(StripwatchError):
    """Too much is waiting already; `retry_after_s` says when to try again."""

    grpc_status = "RESOURCE_EXHAUSTED"

    def __init__(self, message: str, retry_after_s: float = 0.1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StreamFull(Overloaded):
    """Redis refuses writes because it is at its memory limit."""
