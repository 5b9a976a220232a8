"""The verdict in one line for a terminal."""

from __future__ import annotations

from stripwatch.domain.verdict import StripVerdict


def summary(verdict: StripVerdict) -> str:
    """Run, disposition and why, frames, coverage, defects."""
    frames = sum(account.expected for account in verdict.cameras)
    lost = frames - sum(account.judged for account in verdict.cameras)
    found = f"{verdict.found} defect{'' if verdict.found == 1 else 's'}"
    parts = [f"{frames} frames", *([f"{lost} lost"] if lost else []), f"coverage {verdict.coverage / 100:.2f} %", found]
    why = f" ({verdict.reasons[0]})" if verdict.reasons else ""
    return f"{verdict.run}: {verdict.disposition.value.upper()}{why}: {', '.join(parts)}"
