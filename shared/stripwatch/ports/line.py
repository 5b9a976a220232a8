"""All ports of one line, and the transport that has them."""

from __future__ import annotations

from typing import Protocol

from stripwatch.ports.queue import Queue
from stripwatch.ports.readers import Beats, Dead, EventLog, Tap, Verdicts
from stripwatch.ports.runs import Runs
from stripwatch.ports.source import Source
from stripwatch.ports.work import Work


class LineStream(Protocol):
    """Everything about one line."""

    @property
    def line(self) -> str: ...
    @property
    def frames(self) -> Queue: ...
    @property
    def results(self) -> Queue: ...
    @property
    def source(self) -> Source: ...
    @property
    def work(self) -> Work: ...
    @property
    def runs(self) -> Runs: ...
    @property
    def verdicts(self) -> Verdicts: ...
    @property
    def alarms(self) -> EventLog: ...
    @property
    def tap(self) -> Tap: ...
    @property
    def dead(self) -> Dead: ...
    @property
    def beats(self) -> Beats: ...


class Stream(Protocol):
    """The transport between the services."""

    def line(self, name: str) -> LineStream:
        """One line's streams; groups and server-side functions are there afterwards."""

    def ping(self) -> None:
        """Raises StreamUnavailable unless the server answers and takes our functions."""

    def close(self) -> None: ...
