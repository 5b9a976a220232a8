"""Traces from capture to verdict: off unless a collector's address is set, and then of a share of all frames.

Only `export` knows OpenTelemetry, and only a process that exports loads it. What one step hands to the next is text, a
W3C traceparent; "" says that nothing is taken, and costs its reader one look.
"""

from stripwatch.runtime.tracing.context import ids, traceparent
from stripwatch.runtime.tracing.facts import of_frame, of_run
from stripwatch.runtime.tracing.messages import sent, taken
from stripwatch.runtime.tracing.span import NOTHING, Fact, Span, SpanKind, current
from stripwatch.runtime.tracing.switch import begin, close, configure, follow, is_on, is_sampled

__all__ = [
    "NOTHING",
    "Fact",
    "Span",
    "SpanKind",
    "begin",
    "close",
    "configure",
    "current",
    "follow",
    "ids",
    "is_on",
    "is_sampled",
    "of_frame",
    "of_run",
    "sent",
    "taken",
    "traceparent",
]
