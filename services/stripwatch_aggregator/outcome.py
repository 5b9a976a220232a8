"""A frame's outcome: from an entry of `results` to what its run records."""

from __future__ import annotations

from stripwatch.domain.result import FrameResult, Outcome
from stripwatch.errors import BadInput
from stripwatch.ports import Entry, Record
from stripwatch.rpc.codec.results import decode_result
from stripwatch_aggregator.keep import what_to_keep
from stripwatch_aggregator.rules import Rules

REASON_CHARS = 200


def result_of(entry: Entry) -> FrameResult:
    """BadInput for one that cannot be read, or is of another run than the entry says."""
    result = decode_result(entry.body)
    if result.header.run != entry.run:
        raise BadInput(f"result: expected one of run {entry.run}, got one of {result.header.run}")
    return result


def record_of(entry: Entry, result: FrameResult, rules: Rules | None) -> Record:
    """What is kept of it depends on the run's rules."""
    judged = result.outcome is Outcome.JUDGED
    return Record(
        id=entry.id,
        run=entry.run,
        camera=result.header.camera,
        index=result.header.index,
        inspected_mm2=result.inspected_mm2 if judged else 0,
        strip_mm2=result.strip_mm2 if judged else 0,
        flagged=what_to_keep(result, rules) if judged else b"",
        failure="" if judged else result.reason[:REASON_CHARS] or "no reason was given",
        trace=entry.trace,
    )
