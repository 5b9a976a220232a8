"""Is anybody at work on a line? A name with a typo is a line too, only nobody works on it."""

from __future__ import annotations

import sys

from stripwatch.cli.where import here
from stripwatch.errors import Conflict, PeerUnavailable
from stripwatch.ports import LineState, LineStream
from stripwatch.recording import Consumers
from stripwatch.runtime.lifecycle import Lifecycle


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
