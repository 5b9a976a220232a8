"""`var/stripwatch-up.json`: how other commands find the pipeline that `stripwatch up` runs here."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from stripwatch.runtime.whole import write_whole

PLACE = Path("var/stripwatch-up.json")


@dataclass(frozen=True, slots=True)
class UpState:
    """A running pipeline: its supervisor's process, and where its parts listen."""

    pid: int
    redis_url: str
    lines: tuple[str, ...]
    verdicts: str
    services: dict[str, str] = field(default_factory=dict)

    def write(self, place: Path = PLACE) -> None:
        """For the user alone to read: the address may hold a password."""
        write_whole(place, json.dumps(asdict(self), indent=2) + "\n", mode=0o600)


def read_state(place: Path = PLACE) -> UpState | None:
    """The pipeline that runs here; None if there is none, or if it went without taking its state along."""
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
        state = UpState(**{**found, "lines": tuple(found["lines"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return state if _alive(state.pid) else None


def remove_state(place: Path = PLACE) -> None:
    place.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
