"""A page of verdicts fits into one answer, however large they are."""

from __future__ import annotations

from typing import Any

import pytest

from aggregator_cases import end, result, start, state
from stripwatch.domain.frame import RunId
from stripwatch.rpc.v1 import verdict_pb2 as pb
from stripwatch.stream.memory import MemoryStream
from stripwatch_aggregator import verdicts
from stripwatch_aggregator.account import account
from stripwatch_aggregator.decide import decide
from stripwatch_aggregator.event import verdict_event
from stripwatch_aggregator.verdicts import VerdictsService

STRIPS = [f"strip{number}" for number in range(7)]


@pytest.mark.parametrize("most", [10_000_000, 700, 1])
def test_all_verdicts_are_listed_whatever_fits_on_a_page(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "PAGE_BYTES", most)
    stream = MemoryStream()
    line = stream.line("line1")
    for strip in STRIPS:
        run = RunId("line1", strip, "run1")
        line.source.start_run(run, b"start", cameras=["c1"], live=False, deadline_ms=1_000)
        given = state([result(0, run=run)], [end(1, run=run)], start(run))
        line.runs.close(run, 1, verdict_event(decide(given, account(given), 1)))
    service, context = VerdictsService(stream, ["line1"], 1, lambda: True), Any
    found, token = [], ""
    while True:
        page = service.List(pb.ListRequest(line="line1", page_size=5, page_token=token), context)  # type: ignore[arg-type]
        assert 1 <= len(page.verdicts) <= 5
        found += [one.run.strip for one in page.verdicts]
        token = page.next_page_token
        if not token:
            break
    assert found == STRIPS[::-1]
