"""When a run can be decided, and with what."""

from __future__ import annotations

from dataclasses import replace

from stripwatch.ports import RunState
from stripwatch_aggregator.account import Ledger


def is_over(state: RunState, ledger: Ledger) -> bool:
    """Whether the run can be decided: complete, or past its deadline with nothing of it under way.

    The deadline is for live runs, and for those of which every camera has ended: what is missing then was lost.
    """
    expired = state.idle_ms >= state.deadline_ms and not state.busy
    return ledger.complete or (expired and (state.live or ledger.ended))


def without_defects(state: RunState) -> RunState:
    """The run with none of its flagged frames: what they hold has ended, or failed, whoever looked at it."""
    return replace(state, flagged=(), beyond=state.beyond + len(state.flagged))
