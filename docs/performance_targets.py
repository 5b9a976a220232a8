"""The eight targets: what was aimed at, what was measured, and whether it was met, worked out from the result files."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from performance_aims import Aim, efficiency, growth, latency, line_speed, serving, startup, torch
from performance_results import Found, Results, table, unmeasured

TARGETS: dict[str, tuple[str, Callable[[Found], Iterator[Aim]]]] = {
    "1 efficiency": ("pipeline", efficiency),
    "2 serving": ("serving", serving),
    "3 latency": ("latency", latency),
    "4 line speed": ("line_speed", line_speed),
    "5 torch loop": ("pipeline", torch),
    "6 growth": ("growth", growth),
    "7 start-up": ("startup", startup),
}
"""The file that a target is measured by, and its lines."""


def targets(results: Results) -> str:
    rows: list[list[str]] = []
    for target, (file, aims) in TARGETS.items():
        found = results.find(file)
        lines = [_line(aim) for aim in aims(found)] if found else []
        title = target
        for line in lines or [["", "", unmeasured(file), ""]]:
            rows.append([title, *line])
            title = ""
    commands = "[`stripwatch density`, `stripwatch plan`](sizing.md)"
    rows.append(["8 density", "how many cameras hold, what a line needs", "one command each", commands, "yes"])
    return table(["target", "of", "aim", "measured", "met"], rows)


def _line(aim: Aim) -> list[str]:
    return [aim.what, aim.aim, aim.measured, "yes" if aim.met else "**no**"]
