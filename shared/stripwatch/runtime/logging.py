"""Logs: one line an event, JSON for machines, plain text on a terminal; values never break out of their line."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from stripwatch.domain.names import printable

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _OWN}


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
        fields = " ".join(f"{key}={value}" for key, value in _fields(record).items())
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
