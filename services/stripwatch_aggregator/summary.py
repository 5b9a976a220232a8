"""What the log says of a verdict."""

from __future__ import annotations

from typing import Any

from stripwatch.domain.verdict import StripVerdict
from stripwatch.runtime.logging import of_run


def summary(verdict: StripVerdict) -> dict[str, Any]:
    """Run, disposition and the first reason for it, frames and how many of them were lost, coverage in %, defects."""
    frames = sum(account.expected for account in verdict.cameras)
    return {
        **of_run(verdict.run),
        "disposition": verdict.disposition.value,
        "reason": verdict.reasons[0] if verdict.reasons else "",
        "frames": frames,
        "lost": frames - sum(account.judged for account in verdict.cameras),
        "coverage": verdict.coverage / 100,
        "defects": verdict.found,
    }
