"""What an aggregator remembers of open runs between batches; all of it can be forgotten at any time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from stripwatch.domain.frame import RunId
from stripwatch.ports import Work
from stripwatch_aggregator.rules import Rules, read_rules

MOST_RUNS = 64


@dataclass(slots=True)
class OpenRun:
    """A run's rules, once a worker pinned them, and the alarms known to be raised."""

    rules: Rules | None = None
    raised: set[str] = field(default_factory=set)


class Memo:
    """The open runs looked at lately."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._runs: OrderedDict[RunId, OpenRun] = OrderedDict()

    def of(self, run: RunId) -> OpenRun:
        """The run, its rules read from the stream unless they are known: pins, once set, never change."""
        known = self._runs.setdefault(run, OpenRun())
        self._runs.move_to_end(run)
        while len(self._runs) > MOST_RUNS:
            self._runs.popitem(last=False)
        if known.rules is None:
            info = self._work.info(run)
            known.rules = read_rules(info.start, info.pins)
        return known

    def forget(self, run: RunId) -> None:
        self._runs.pop(run, None)
