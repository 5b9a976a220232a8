"""Does a line flow: somebody at work, nothing stuck, nothing dead?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stripwatch.cli.findings import Finding, fail, ok, warn
from stripwatch.ports import OLD_MS, Backlog, LineState, LineStream

STAGES = {"preprocess": "frames", "aggregate": "results"}
"""Each stage by its heartbeat, and the stream it empties."""


def line_findings(line: LineStream) -> list[Finding]:
    alive = line.beats.alive()
    waiting = {"frames": line.frames.backlog(), "results": line.results.backlog()}
    found = [_state(line)]
    found += [_stage(line.line, stage, alive.get(stage, []), waiting[empties]) for stage, empties in STAGES.items()]
    found += [_backlog(line.line, name, backlog) for name, backlog in waiting.items()]
    found.append(_abandoned(line))
    found.append(_dead(line))
    return found


def service_findings(services: Mapping[str, str], status: Callable[[str], str]) -> list[Finding]:
    """Health of each service, by name and HOST:PORT."""
    found = []
    for name, address in services.items():
        says = status(address)
        if says == "SERVING":
            found.append(ok(name, f"serving at {address}"))
        else:
            found.append(fail(name, f"{says} at {address}", f"look at what {name} logs: it says why it is not ready"))
    return found


def _state(line: LineStream) -> Finding:
    state, what = line.source.state(), f"{line.line}: state"
    if state is LineState.RUNNING:
        return ok(what, state.value)
    return warn(what, state.value, f"`stripwatch line resume {line.line}` when it is time")


def _stage(line: str, stage: str, who: list[str], backlog: Backlog) -> Finding:
    what = f"{line}: {stage}"
    if who:
        return ok(what, f"{len(who)} at work")
    if backlog.waiting:
        return fail(what, f"nobody, and {backlog.waiting} entries wait", "start it (`stripwatch up`)")
    return warn(what, "nobody", "start it (`stripwatch up`) before strips come")


def _backlog(line: str, name: str, backlog: Backlog) -> Finding:
    what = f"{line}: {name} waiting"
    says = f"{backlog.waiting}, {backlog.pending} at work"
    if backlog.waiting and backlog.oldest_ms > OLD_MS:
        says += f", the oldest for {backlog.oldest_ms / 1000:.0f} s"
        return warn(what, says, "a service may be away or too slow: look at its health, or add workers")
    return ok(what, says)


def _abandoned(line: LineStream) -> Finding:
    """Runs that only a marker can end, with no source left to send it."""
    what = f"{line.line}: open runs"
    states = [state for run in line.runs.open_runs() if (state := line.runs.state(run)) is not None]
    silent = [state for state in states if not state.live and not state.busy and state.idle_ms > OLD_MS]
    if not silent or line.beats.alive().get("ingest") or line.beats.alive().get("replay"):
        return ok(what, str(len(states)))
    names = ", ".join(f"{state.run.strip}/{state.run.run}" for state in silent)
    return warn(what, f"{names}: no source is left to end them", f"`stripwatch line close {line.line}`")


def _dead(line: LineStream) -> Finding:
    letters, what = line.dead.page(1000), f"{line.line}: dead letters"
    if not letters:
        return ok(what, "none")
    advice = "`stripwatch dead list`, mend the cause, then `stripwatch dead requeue`"
    return warn(what, f"{len(letters)}, the newest: {letters[0].reason}", advice)
