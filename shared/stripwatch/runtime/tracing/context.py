"""W3C trace context: the one line of text by which a step continues the trace of the step before it."""

from __future__ import annotations

import re

_FIRST_VERSION = 55
"""Characters of a traceparent of version 00, and of what later versions begin with."""
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SAMPLED = 1


def traceparent(given: str | bytes) -> str:
    """The context as we pass it on; "" for one that is none, or of a trace that is not taken.

    Whoever wrote it, it never keeps an entry or a call from being worked on. Source: W3C Trace Context, 3.2.
    """
    if not given:
        return ""
    text = given.decode("ascii", errors="replace") if isinstance(given, bytes) else given
    first, rest = text[:_FIRST_VERSION], text[_FIRST_VERSION:]
    if _TRACEPARENT.fullmatch(first) is None or (rest and (first.startswith("00") or not rest.startswith("-"))):
        return ""
    return f"00{first[2:53]}01" if int(first[53:], 16) & _SAMPLED else ""


def ids(context: str) -> tuple[str, str]:
    """Trace and span of a context, in hexadecimal digits."""
    return context[3:35], context[36:52]
