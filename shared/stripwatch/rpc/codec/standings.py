"""How a line stands, as protobuf."""

from __future__ import annotations

from stripwatch.ports import LineState, Standing
from stripwatch.rpc.v1 import verdict_pb2 as pb

_STATES = {
    LineState.RUNNING: pb.LINE_STATE_RUNNING,
    LineState.PAUSED: pb.LINE_STATE_PAUSED,
    LineState.DRAINING: pb.LINE_STATE_DRAINING,
}


def standing_to(standing: Standing) -> pb.LineStatus:
    obstacles = standing.obstacles()
    return pb.LineStatus(
        line=standing.line,
        inspecting=not obstacles,
        obstacles=obstacles,
        stages=[pb.Stage(name=name, alive=count) for name, count in standing.alive.items()],
        state=_STATES[standing.state],
        frames_waiting=standing.frames.waiting,
        oldest_frame_ms=standing.frames.oldest_ms,
        results_waiting=standing.results.waiting,
        oldest_result_ms=standing.results.oldest_ms,
        open_runs=standing.open_runs,
        at_ns=standing.at_ns,
    )
