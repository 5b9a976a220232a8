"""Spans around the entries of a line's streams, as OpenTelemetry's semantic conventions for messaging name them.

`stream` is `frames` or `results`; the destination's name holds the line, and the span's own name does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from stripwatch.ports import Entry, Kind
from stripwatch.runtime.tracing.facts import of_run
from stripwatch.runtime.tracing.span import NOTHING, Fact, Span, SpanKind
from stripwatch.runtime.tracing.switch import follow


def sent(
    make: Callable[..., Span],
    stream: str,
    kind: Kind,
    facts: Mapping[str, Fact],
    *,
    links: Iterable[str] = (),
    at_ns: int | None = None,
) -> Span:
    """An entry on its way into a stream: it carries the span's context, and the span ends when it is there.

    `make` is `begin`, or the `child` of what it belongs to; `facts` are at least those of its run.
    """
    told = {**_where("publish", "send", stream, str(facts["stripwatch.line"])), "stripwatch.entry": kind.value, **facts}
    return make(f"publish {stream}", SpanKind.PRODUCER, links=links, facts=told, at_ns=at_ns)


def taken(verb: str, stream: str, entry: Entry, group: str, who: str) -> Span:
    """An entry that a worker of a group was given; NOTHING unless its trace is taken."""
    if not entry.trace:
        return NOTHING
    told = {
        **_where(verb, "process", stream, entry.run.line),
        **of_run(entry.run),
        "messaging.message.id": entry.id,
        "messaging.message.body.size": len(entry.body) + len(entry.pixels),
        "messaging.consumer.group.name": group,
        "messaging.client.id": who,
        "stripwatch.entry": entry.kind.value,
        "stripwatch.deliveries": entry.deliveries,
    }
    return follow(entry.trace, f"{verb} {stream}", SpanKind.CONSUMER, facts=told)


def _where(verb: str, kind: str, stream: str, line: str) -> dict[str, Fact]:
    return {
        "messaging.system": "redis",
        "messaging.operation.name": verb,
        "messaging.operation.type": kind,
        "messaging.destination.name": f"sw:{{{line}}}:{stream}",
        "messaging.destination.template": f"sw:{{LINE}}:{stream}",
    }
