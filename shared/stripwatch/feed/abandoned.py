"""Runs whose source is gone for good: their cameras are ended in its place, so that each run gets its verdict."""

from __future__ import annotations

from stripwatch.domain.frame import RunId
from stripwatch.feed.account import RunAccount
from stripwatch.ports import CameraState, Kind, LineStream, Outgoing, RunState, frames_in
from stripwatch.rpc.codec.frames import decode_start, encode_end

GONE = "source gone"

_HOLD_MS = 10_000


def end_abandoned(line: LineStream, owner: str) -> list[RunId]:
    """Ends every open run of a line that no source holds. Conflict while one does; the runs that were ended.

    What a camera had still to send is declared as shed, so that no such run looks complete.
    """
    line.source.hold(owner, live=False, ttl_ms=_HOLD_MS)
    try:
        ended = []
        for run in line.runs.open_runs():
            state = line.runs.state(run)
            if state is not None and _end(line, state):
                ended.append(run)
        return ended
    finally:
        line.source.release(owner)


def _end(line: LineStream, state: RunState) -> bool:
    """Publishes the ends that are missing; False if there are none."""
    start = decode_start(state.start)
    account = RunAccount(start)
    for camera in start.cameras:
        known = state.cameras.get(camera.name, CameraState())
        for bitmap in (known.judged, known.failed):
            account.camera(camera.name).took(max([-1, *frames_in(bitmap)[-1:].tolist()]))
        account.camera(camera.name).ended = bool(known.end)
    ends = account.cut_short(GONE)
    line.source.publish([Outgoing(Kind.END, end.run, encode_end(end)) for end in ends])
    return bool(ends)
