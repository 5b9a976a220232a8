"""What one kill of Redis lost, and the sums over many."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill. Runs and frames are those acknowledged since the kill before."""

    starts: int
    frames: int
    verdicts_read: int
    """Verdicts the MES had read when Redis was killed, of all runs so far."""
    absent: int
    """Acknowledged starts of which Redis knew nothing when it was back: neither the run nor its verdict."""
    verdicts_gone: int
    """Verdicts that the MES had read and that Redis no longer had when it was back."""
    started_again: int
    """Absent runs that their source started again, because it was not through with them."""
    starts_lost: int
    """Acknowledged starts that never got a verdict anybody could read."""
    frames_lost: int
    """Acknowledged frames that were not judged: never-seen in a verdict, or of a lost start."""
    decided_again: int
    """Runs with a second verdict, after Redis lost the first."""
    ids_changed: int
    """Of those, with another id than the first."""
    unread: int
    """Verdicts in Redis that the MES never read."""
    closed_by_hand: int
    """Replays whose acknowledged end was lost: an operator closed them, and what was missing is in their verdicts."""
    open_at_the_end: int
    settled_s: float
    """From Redis' answer until every run of before had its verdict and nothing waited."""
    cut_bytes: int


def sums(kills: Sequence[Kill]) -> dict[str, Any]:
    names = [name for name in Kill.__dataclass_fields__ if name not in ("settled_s", "cut_bytes", "verdicts_read")]
    return {
        "kills": len(kills),
        **{name: sum(getattr(kill, name) for kill in kills) for name in names},
        "verdicts_read": max(kill.verdicts_read for kill in kills),
        "most_starts_lost_by_one_kill": max(kill.starts_lost for kill in kills),
        "most_frames_lost_by_one_kill": max(kill.frames_lost for kill in kills),
        "settled_s_median": round(statistics.median(kill.settled_s for kill in kills), 2),
        "settled_s_most": max(kill.settled_s for kill in kills),
        "cut_bytes": sum(kill.cut_bytes for kill in kills),
    }
