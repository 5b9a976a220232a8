"""What `stripwatch doctor` says of each thing it looks at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at, how it stands, and what to do where it is not well."""

    what: str
    level: Level
    says: str
    advice: str = ""


def ok(what: str, says: str) -> Finding:
    return Finding(what, Level.OK, says)


def warn(what: str, says: str, advice: str) -> Finding:
    return Finding(what, Level.WARN, says, advice)


def fail(what: str, says: str, advice: str) -> Finding:
    return Finding(what, Level.FAIL, says, advice)
