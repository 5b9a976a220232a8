"""Whether this process takes traces, and how each of them begins and goes on."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from stripwatch.errors import SettingsInvalid
from stripwatch.runtime.settings import ServiceSettings
from stripwatch.runtime.tracing.span import NOTHING, Fact, Span, SpanKind

CLOSE_S = 2.0
"""For what was not sent yet, at the end of a process."""


class Tracer(Protocol):
    """Makes spans, and sends them off once they end."""

    def span(
        self,
        name: str,
        kind: SpanKind,
        parent: str,
        links: Iterable[str],
        facts: Mapping[str, Fact] | None,
        at_ns: int | None,
    ) -> Span:
        """One that continues `parent`, or begins a trace of its own ("")."""

    def close(self, seconds: float) -> None:
        """Sends what is left, for as long as that."""


@dataclass
class _Switch:
    """`tracer` is None while nothing is taken."""

    tracer: Tracer | None = None
    share: float = 0.0


_switch = _Switch()


def configure(service: str, settings: ServiceSettings) -> None:
    """Takes traces from now on, if the settings name a collector. SettingsInvalid where that cannot be."""
    if not settings.traces_endpoint:
        return
    try:
        from stripwatch.runtime.tracing.export import Export  # noqa: PLC0415 - whoever takes none does not load it
    except ImportError as error:
        raise SettingsInvalid(
            f"STRIPWATCH_TRACES_ENDPOINT: expected the packages of the extra `tracing` to be installed, got: {error}"
        ) from error
    _switch.tracer = Export(service, settings.traces_endpoint, settings.tls)
    _switch.share = settings.traces_sample


def close() -> None:
    """Sends what is left, and takes nothing more."""
    tracer, _switch.tracer = _switch.tracer, None
    if tracer is not None:
        tracer.close(CLOSE_S)


def is_on() -> bool:
    return _switch.tracer is not None


def is_sampled() -> bool:
    """Whether the next frame is to be taken: the one decision; all that follows from the frame follows it."""
    return _switch.tracer is not None and random.random() < _switch.share


def begin(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    *,
    links: Iterable[str] = (),
    facts: Mapping[str, Fact] | None = None,
    at_ns: int | None = None,
) -> Span:
    """The first span of a trace; NOTHING while this process takes none."""
    return NOTHING if _switch.tracer is None else _switch.tracer.span(name, kind, "", links, facts, at_ns)


def follow(
    context: str,
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    *,
    links: Iterable[str] = (),
    facts: Mapping[str, Fact] | None = None,
    at_ns: int | None = None,
) -> Span:
    """A span that continues a trace from elsewhere; NOTHING where that is not taken, or this process takes none."""
    if not context or _switch.tracer is None:
        return NOTHING
    return _switch.tracer.span(name, kind, context, links, facts, at_ns)
