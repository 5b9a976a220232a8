"""CPU time a frame by length of strip and by cameras, and what a strip costs beside its frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metered import Cost, Metered
from strip_series import Series
from trend import against, interleaved, medians, parts

from stripwatch.domain.strip import MAX_CAMERAS

FEW = 8
"""A strip of a point's cameras is measured with all its frames and with an eighth: the difference is a frame's cost."""


def by_strip(meter: Metered, strips: Sequence[Series], rounds: int) -> dict[str, Any]:
    """CPU time a frame by length of strip, and how much of it is the strip's: its start, its end, its verdict."""
    found = interleaved(strips, rounds, meter.cost)
    named = {str(one.frames): found[str(one)] for one in strips}
    return {
        "points": _points(named, {str(one.frames): one.strips for one in strips}),
        "against_reference": against(named, "all", str(strips[-1].frames)),
        "parts": _parts(strips, {name: medians(costs) for name, costs in named.items()}),
    }


def _parts(strips: Sequence[Series], middle: Mapping[str, Cost]) -> dict[str, dict[str, float]]:
    """µs a frame and µs a strip, of all and of each process."""
    names = [name for name in next(iter(middle.values())) if name != "frames_per_s"]
    found = {}
    for name in names:
        costs = [middle[str(one.frames)][name] * one.total for one in strips]
        a_frame, a_strip = parts([one.total for one in strips], [one.strips for one in strips], costs)
        found[name] = {"us_a_frame": round(a_frame, 1), "us_a_strip": round(a_strip, 1)}
    return found


def by_camera(meter: Metered, counts: Sequence[int], frames: int, rounds: int) -> dict[str, Any]:
    """CPU time a frame by cameras: of a whole strip, and of one frame more."""
    found = interleaved(counts, rounds, lambda cameras: _of_cameras(meter, cameras, frames))
    first = str(counts[0])
    return {
        "most_cameras_a_run": MAX_CAMERAS,
        "points": _points(found, {str(count): Series(1, cameras=count).runs for count in counts}),
        "against_one_camera": {name: against(found, name, first) for name in ("all", "further frame")},
    }


def _of_cameras(meter: Metered, cameras: int, frames: int) -> Cost:
    few, all_of_it = frames // FEW, Series(frames, cameras=cameras)
    less, more = meter.cost(Series(few, cameras=cameras)), meter.cost(all_of_it)
    further = (more["all"] * frames - less["all"] * few) / (frames - few)
    strip = less["all"] * few - further * few
    return {**more, "further frame": round(further, 1), "strip": round(strip, 1)}


def _points(found: Mapping[str, Sequence[Cost]], times: Mapping[str, int]) -> dict[str, Any]:
    return {
        name: {"times": times[name], **medians(rounds), "rounds": [one["all"] for one in rounds]}
        for name, rounds in found.items()
    }
