"""How the lines stand in Redis, looked at now and then for the page of metrics."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence

from stripwatch.errors import StripwatchError
from stripwatch.ports import LineStream, Stream, workers
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.runtime.metrics.lines import LINE_LOOKS, Look

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
WORKERS_EVERY_S = 8.0
"""Who lives is found by going through all keys of the server, and a heartbeat lasts longer than this."""


class Lookout:
    """Looks at one line until told to stop. While Redis is away it sees nothing, and its last look grows old."""

    def __init__(self, stream: Stream, line: str, lifecycle: Lifecycle) -> None:
        self._stream = stream
        self._line = line
        self._lifecycle = lifecycle
        self._workers: Mapping[str, int] = {}
        self._workers_at = 0.0

    def run(self) -> None:
        line: LineStream | None = None
        while self._lifecycle.running:
            try:
                line = line or self._stream.line(self._line)
                LINE_LOOKS.saw(self._line, self.look(line))
            except StripwatchError as error:
                log.debug("could not look at the line", extra={"line": self._line, "reason": str(error)})
            self._lifecycle.sleep(LOOK_EVERY_S)

    def look(self, line: LineStream) -> Look:
        """The line as it is now."""
        if time.monotonic() >= self._workers_at:
            self._workers = workers(line)
            self._workers_at = time.monotonic() + WORKERS_EVERY_S
        return Look(
            frames=line.frames.backlog(),
            results=line.results.backlog(),
            dead=line.dead.count(),
            open_runs=len(line.runs.open_runs()),
            workers=self._workers,
            memory=line.source.memory(),
        )


def look_out(stream: Stream, lines: Sequence[str], lifecycle: Lifecycle) -> None:
    """One for each line, in a thread of its own: a server that is away must not hide the lines of others."""
    for line in lines:
        lookout = Lookout(stream, line, lifecycle)
        threading.Thread(target=lookout.run, name=f"lookout-{line}", daemon=True).start()
