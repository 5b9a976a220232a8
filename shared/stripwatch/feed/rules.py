"""What a source keeps to while it feeds a line."""

from __future__ import annotations

from dataclasses import dataclass

SHARE_OF_LIMIT = 0.6
"""Share of the stream server's memory that frames may fill; the rest is for results, verdicts and the tap."""


@dataclass(frozen=True, slots=True)
class FeedRules:
    """How frames go out.

    `live`: frames come whether or not they are taken, so the newest are shed and declared; otherwise the source waits.
    `budget_bytes` bounds what the stream's server may use (0: only the share of its own limit does), `budget_s` how
    long frames of a live source may wait for a worker (0: for ever).
    """

    live: bool
    run_deadline_s: float = 60.0
    budget_bytes: int = 0
    budget_s: float = 0.0
    batch_frames: int = 16
    batch_bytes: int = 8 << 20
    batch_s: float = 0.005
    buffer_bytes: int = 32 << 20
    """What a live source keeps while the stream takes nothing; what comes after that is shed."""

    def ceiling(self, limit: int) -> int:
        """Bytes the stream's server may use before frames are held back; 0 for no bound. `limit` 0: it has none."""
        share = int(limit * SHARE_OF_LIMIT)
        bounds = [bound for bound in (self.budget_bytes, share) if bound]
        return min(bounds, default=0)
