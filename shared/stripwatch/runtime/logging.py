"""Logs: one line an event, JSON for machines, plain text on a terminal; values never break out of their line.

What an event is about stands in its fields, by one name each in all services: line, strip, run, camera, frame (its
index), entry, reason; and of work whose trace is taken, trace_id and span_id. The text is the same for all of a kind.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from stripwatch.domain.frame import FrameHeader, RunId
from stripwatch.domain.names import printable
from stripwatch.runtime import tracing

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


_RUN = ("line", "strip", "run")


def of_run(run: RunId) -> dict[str, Any]:
    """Fields of what is about a run."""
    return {"line": run.line, "strip": run.strip, "run": run.run}


def of_frame(header: FrameHeader) -> dict[str, Any]:
    """Fields of what is about a frame."""
    return {**of_run(header.run), "camera": header.camera, "frame": header.index}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _OWN}


def _trace() -> dict[str, str]:
    span = tracing.current()
    return dict(zip(("trace_id", "span_id"), tracing.ids(span.context), strict=True)) if span else {}


def _short(fields: dict[str, Any]) -> dict[str, Any]:
    """A run as one word: what fills the line of a terminal is in the way of who reads it."""
    if not fields.keys() >= set(_RUN):
        return fields
    rest = {key: value for key, value in fields.items() if key not in _RUN}
    return {"run": "/".join(str(fields[part]) for part in _RUN), **rest}


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self.service,
            "message": record.getMessage(),
            **_fields(record),
            **_trace(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class HumanFormatter(logging.Formatter):
    """Time, level, service, text, then the fields."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        fields = " ".join(f"{key}={value}" for key, value in _short(_fields(record)).items())
        text = f"{clock} {record.levelname:<7} {self.service:<12} {record.getMessage()} {fields}".rstrip()
        if not record.exc_info:
            return printable(text)
        # Set in, so that no line of an exception's own text looks like one of the log.
        trace = (f"    {printable(line)}" for line in self.formatException(record.exc_info).splitlines())
        return "\n".join((printable(text), *trace))


def configure(service: str, level: str, style: str) -> None:
    """Sends all logs of this process to standard error. `style` is auto, human or json."""
    human = style == "human" or (style == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(HumanFormatter(service) if human else JsonFormatter(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
