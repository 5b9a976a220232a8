"""Is anybody at work on a line? A name with a typo is a line too, only nobody works on it."""

from __future__ import annotations

import sys
import time

from stripwatch.cli.where import here
from stripwatch.errors import Conflict, PeerUnavailable
from stripwatch.ports import LineState, LineStream, standing
from stripwatch.recording import Consumers
from stripwatch.runtime.lifecycle import Lifecycle

LOOK_EVERY_S = 2.0


class Vigil:
    """Says on standard error when a line that is followed is no longer inspected, and when it is again.

    That no source sends is the rule between strips, and not said.
    """

    def __init__(self, streams: LineStream) -> None:
        self._streams = streams
        self._inspected = True
        self._look_at = 0.0

    def look(self) -> None:
        """Looks every few seconds, however often it is called."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_EVERY_S
        line, obstacles = self._streams.line, standing(self._streams).obstacles(Consumers().stages)
        if obstacles and self._inspected:
            sys.stderr.write(f"warning: line {line} is not inspected: {', '.join(obstacles)}{_elsewhere(line)}\n")
        elif not obstacles and not self._inspected:
            sys.stderr.write(f"line {line} is inspected again\n")
        self._inspected = not obstacles


def warn_unattended(streams: LineStream) -> None:
    """A warning on standard error if no stage of the line has a heartbeat."""
    everybody = Consumers()
    if len(everybody.missing(streams)) == len(everybody.stages):
        sys.stderr.write(f"warning: nobody works on line {streams.line} (no heartbeat){_elsewhere(streams.line)}\n")


def require_flow(streams: LineStream, wait_s: float) -> None:
    """Returns when what is sent will be judged; Conflict if the line is held back, PeerUnavailable if nobody works."""
    state = streams.source.state()
    if state is not LineState.RUNNING:
        raise Conflict(
            f"line {streams.line} is {state.value}: nothing is sent before `stripwatch line resume {streams.line}`"
        )
    try:
        Consumers(wait_s=wait_s).wait(streams, Lifecycle())
    except PeerUnavailable as error:
        raise PeerUnavailable(f"{error}{_elsewhere(streams.line)}") from error


def _elsewhere(line: str) -> str:
    """What `up` runs here, where it is not this line."""
    state = here()
    return f"; `up` here runs {', '.join(state.lines)}" if state and line not in state.lines else ""
