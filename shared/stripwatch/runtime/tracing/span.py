"""Spans as the services see them: one that is taken, or NOTHING."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from enum import StrEnum
from types import TracebackType
from typing import Protocol

Fact = str | int | float | bool


class SpanKind(StrEnum):
    """What a span is to those before and after it."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Span(Protocol):
    """A piece of work. It is taken when it ends; one that never does is dropped. True unless it is NOTHING.

    As a context manager it is the current span of its block, and ends with it, faulty if the block raised.
    """

    @property
    def context(self) -> str:
        """What the next step continues the trace by; "" of NOTHING."""

    def __bool__(self) -> bool: ...

    def child(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        *,
        links: Iterable[str] = (),
        facts: Mapping[str, Fact] | None = None,
        at_ns: int | None = None,
    ) -> Span:
        """A part of this work; it began `at_ns` (UTC), or now. `links` are contexts that belong to it otherwise."""

    def link(self, context: str) -> None: ...

    def note(self, facts: Mapping[str, Fact]) -> None: ...

    def end(self, fault: str = "", *, at_ns: int | None = None) -> None:
        """`fault` says why the work did not come to its result."""

    def here(self) -> AbstractContextManager[object]:
        """Makes it the current span of a block, without ending it."""

    def __enter__(self) -> Span: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Nothing:
    """What is not taken."""

    context = ""

    def __bool__(self) -> bool:
        return False

    def child(
        self,
        name: str,  # noqa: ARG002 - as of any span
        kind: SpanKind = SpanKind.INTERNAL,  # noqa: ARG002
        *,
        links: Iterable[str] = (),  # noqa: ARG002
        facts: Mapping[str, Fact] | None = None,  # noqa: ARG002
        at_ns: int | None = None,  # noqa: ARG002
    ) -> Span:
        return NOTHING

    def link(self, context: str) -> None: ...

    def note(self, facts: Mapping[str, Fact]) -> None: ...

    def end(self, fault: str = "", *, at_ns: int | None = None) -> None: ...

    def here(self) -> AbstractContextManager[object]:
        return _NOWHERE

    def __enter__(self) -> Span:
        return NOTHING

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


_NOWHERE = nullcontext()
NOTHING: Span = _Nothing()

_current: ContextVar[Span] = ContextVar("span", default=NOTHING)


def current() -> Span:
    """The span of the work that this thread is at."""
    return _current.get()


class Here:
    """The block that a span is the current one of."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Span:
        self._before = _current.set(self._span)
        return self._span

    def __exit__(self, *_: object) -> None:
        _current.reset(self._before)
