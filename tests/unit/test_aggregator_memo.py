"""What an aggregator remembers between batches: the runs of lately, and no run that is closed."""

from __future__ import annotations

import pytest

from stripwatch.domain.frame import RunId
from stripwatch.stream.memory import MemoryStream
from stripwatch_aggregator import memo
from stripwatch_aggregator.memo import Memo

FIRST, SECOND, THIRD = (RunId("line1", "coil", f"r{number}") for number in range(3))


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Memo:
    monkeypatch.setattr(memo, "MOST_RUNS", 2)
    return Memo(MemoryStream().line("line1").work)


def test_the_run_that_nobody_asked_for_longest_is_forgotten_first(known: Memo) -> None:
    first, second = known.of(FIRST), known.of(SECOND)
    assert known.of(FIRST) is first
    third = known.of(THIRD)
    assert (known.of(FIRST), known.of(THIRD)) == (first, third)
    assert known.of(FIRST) is first
    assert known.of(THIRD) is third
    assert known.of(SECOND) is not second


def test_a_forgotten_run_is_looked_up_anew_and_may_be_forgotten_twice(known: Memo) -> None:
    first = known.of(FIRST)
    known.forget(FIRST)
    known.forget(FIRST)
    assert known.of(FIRST) is not first
