"""Under which conditions each file was measured, and how far its rounds lie apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from performance_aims import profiles
from performance_results import COMMANDS, Results, span, spread, table, unmeasured


def conditions(results: Results) -> str:
    """One line a file."""
    rows = []
    for name in COMMANDS:
        found = results.find(name)
        if found is None:
            rows.append([f"{name}.json", unmeasured(name), "", "", "", "", "", ""])
            continue
        rows.append(
            [
                f"{name}.json",
                f"`{found['command']}`",
                found["commit"][:10] + ("+" if found["commit"].endswith("+") else ""),
                found["machine"],
                f"{found['load_before']:.2f}",
                found["python"],
                found.get("redis") or "none",
                found.get("engine") or found.get("models") or "see the table",
            ]
        )
    return table(["file", "made by", "commit", "machine", "load before", "Python", "Redis", "engine"], rows)


def noise(results: Results) -> str:
    """What the same measurement gave in its rounds."""
    rows = [[what, len(values), span(values), spread(values)] for what, values in _repeated(results) if len(values) > 1]
    if not rows:
        return f"Rounds: {unmeasured('pipeline')}.\n"
    return table(["the same, again", "rounds", "lowest to highest", "apart, of the median"], rows)


def _repeated(results: Results) -> Iterator[tuple[str, Sequence[float]]]:
    pipeline, serving = results.find("pipeline"), results.find("serving")
    for name, one in (pipeline["profiles"] if pipeline else {}).items():
        yield f"bare loop, `{name}`, tiles/s", [each["tiles_per_s"] for each in one["bare"]["rounds"]]
        yield f"pipeline, `{name}`, tiles/s", [each["tiles_per_s"] for each in one["pipeline"]["rounds"]]
    for batch, one in (pipeline["torch"] if pipeline else {}).items():
        yield f"torch loop, batch {batch}, tiles/s", one["rounds"]
    for kind, rounds in (serving["engine_rounds"] if serving else {}).items():
        yield f"engine alone in {kind}, tiles/s", [each["tiles_per_s"] for each in rounds]
    for name, one in profiles(results.find("latency") or {}).items():
        yield f"bare time of a frame, `{name}`, ms", one["rounds"]["bare_ms"]
