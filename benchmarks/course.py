"""The course of one run under load, and its figures: what was judged, how late, what was shed, when all was normal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from stripwatch.domain.verdict import StripVerdict
from stripwatch.ports import frames_in

IN_A_ROW = 25
"""Frames whose median latency must be normal again: one late frame on a busy machine is no overload."""
WARM_S = 2.0
"""Time in which a backlog builds up: not counted into the throughput."""


@dataclass(slots=True)
class Course:
    """One run, looked at every few ms: when each frame was recorded (UTC s), and what Redis held."""

    recorded_at: npt.NDArray[np.float64] = field(default_factory=lambda: np.full(0, np.nan))
    looks: list[tuple[float, int, int, int]] = field(default_factory=list)
    """Time, bytes used, frames waiting, results waiting."""

    def see(self, bits: bytes, now: float) -> None:
        """Takes the bitmap of judged frames; those that are new were recorded by now."""
        judged = frames_in(bits)
        if 8 * len(bits) > len(self.recorded_at):
            more = np.full(8 * len(bits) - len(self.recorded_at), np.nan)
            self.recorded_at = np.concatenate([self.recorded_at, more])
        self.recorded_at[judged[np.isnan(self.recorded_at[judged])]] = now


def point(
    course: Course, offered: dict[str, Any], verdict: StripVerdict, empty_bytes: int, *, live: bool
) -> dict[str, Any]:
    """The figures of one run; AssertionError unless the verdict accounts for every frame that was offered."""
    (camera,) = verdict.cameras
    assert camera.expected == offered["frames"], (camera.expected, offered["frames"])
    assert camera.shed == offered["shed"], (camera.shed, offered["shed"])
    assert camera.judged == offered["sent"], (camera.judged, offered["sent"])
    captured = np.array(offered["captured_at"])
    recorded = np.full(len(captured), np.nan)
    known = min(len(captured), len(course.recorded_at))
    recorded[:known] = course.recorded_at[:known]
    last = int(np.flatnonzero(~np.isnan(recorded))[-1])
    recorded[last:] = course.looks[-1][0]  # recorded after the last look: the bitmap goes with the verdict
    begin, over = captured[0], offered["phase_ends"][0]
    loaded = captured < over
    late = (recorded - captured)[loaded & ~np.isnan(recorded)]
    times, used, frames, results = np.array(course.looks).T
    busy = (times >= begin) & (times < over)  # (looks,)
    judged = np.count_nonzero((recorded >= begin + WARM_S) & (recorded < over))
    return {
        "offered_per_s": round(np.count_nonzero(loaded) / (over - begin), 1),
        "judged_per_s": round(judged / (over - begin - WARM_S), 1),
        "latency_s": quantiles(late),
        "frames": {"offered": camera.expected, "judged": camera.judged, "shed": camera.shed, "lost": camera.never_seen},
        "shed_share": round(np.count_nonzero(np.isnan(recorded[loaded])) / np.count_nonzero(loaded), 4)
        if live
        else 0.0,
        "not_timed": int(camera.judged - np.count_nonzero(~np.isnan(recorded))),
        "backlog_bytes_most": int(used.max() - empty_bytes),
        "backlog_frames_most": int((frames + results)[busy].max()),
        "backlog_frames_median": int(np.median((frames + results)[busy])),
        "_calm": _calm(captured, recorded, over, times, frames + results),
    }


def quantiles(seconds: npt.NDArray[np.float64]) -> dict[str, float]:
    return {name: round(float(np.quantile(seconds, q)), 3) for name, q in (("p50", 0.5), ("p99", 0.99), ("most", 1.0))}


def _calm(
    captured: npt.NDArray[np.float64],
    recorded: npt.NDArray[np.float64],
    over: float,
    times: npt.NDArray[np.float64],
    waiting: npt.NDArray[np.float64],
) -> dict[str, list[float]]:
    """What came after the overload, in seconds from its end: frames with their latency, looks with their backlog."""
    after = captured >= over
    return {
        "captured": (captured[after] - over).tolist(),
        "latency": (recorded - captured)[after].tolist(),
        "looked": (times[times >= over] - over).tolist(),
        "waiting": waiting[times >= over].tolist(),
    }


def recovery(calm: dict[str, list[float]], normal: dict[str, Any]) -> dict[str, float]:
    """Seconds from the end of the overload until the backlog, and the latency of new frames, are as at half load.

    The backlog: no more than the most that waited there; the latency: no more than its 99th percentile there.
    """
    captured, latency = np.array(calm["captured"]), np.array(calm["latency"])
    latency[np.isnan(latency)] = np.inf  # shed
    again = [
        at
        for number, at in enumerate(captured)
        if np.median(latency[number : number + IN_A_ROW]) <= normal["latency_s"]["p99"]
    ]
    looked, waiting = np.array(calm["looked"]), np.array(calm["waiting"])
    short = looked[waiting <= normal["backlog_frames_most"]]
    return {
        "backlog_normal_s": round(float(short[0]), 2) if len(short) else float("nan"),
        "latency_normal_s": round(float(again[0]), 2) if again else float("nan"),
    }
