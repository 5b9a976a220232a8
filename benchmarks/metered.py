"""A running pipeline with a meter on it: what series of strips cost each process, and what memory they hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
import redis
from small_frames import LINE, write_recipe
from strip_series import Feeder, Pictures, Series, Strip
from watch import BACKLOG_BYTES, MIB

from stripwatch.errors import StripwatchError
from stripwatch.feed import Hold, owner_name
from stripwatch.local.pipeline import Pipeline
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.stream import connect
from stripwatch.stream.keys import Keys, run_of

SIDE_PX = 64
WARM_FRAMES = 500
STUCK_S = 90.0
LOOK_EVERY_S = 0.005
STEADY = (0.2, 0.8)
"""The part of a series in which its throughput counts: neither its start nor the last ones' waiting."""

Cost = dict[str, float]
T = TypeVar("T")


class Metered:
    """Sends series through a pipeline and says what they cost; AssertionError unless every frame is accounted for."""

    def __init__(self, pipeline: Pipeline, feeder: Feeder) -> None:
        self.pipeline, self.feeder = pipeline, feeder
        self._redis: Any = redis.Redis.from_url(pipeline.redis_url)
        self._keys = Keys(LINE)
        self._known: dict[int, psutil.Process] = {}

    def cost(self, series: Series) -> Cost:
        """CPU µs a frame of all processes and of each kind, starts and verdicts included, and frames a second."""
        began = time.monotonic()
        strips, spent = self.spent(lambda: self.feeder.send(series))
        took = time.monotonic() - began
        self.check(strips)
        return {**a_frame(spent, series.total), "frames_per_s": round(series.total / took, 1)}

    def spent(self, send: Callable[[], T], open_runs: int = 0) -> tuple[T, Cost]:
        """What it gives, and the CPU seconds by kind until nothing of it waits and no more runs are open than these."""
        before, own = self.cpu_s(), time.thread_time()
        sent = send()
        source = time.thread_time() - own
        self.wait(open_runs=open_runs)
        return sent, {**_less(self.cpu_s(), before), "source": source}

    def steady(self, series: Series) -> Cost:
        """The same of one strip in mid-run, the cores it keeps busy, and how often a stream is read for a frame."""
        looks = Looks(self, series.total)
        own = time.thread_time()
        strips = self.feeder.send(series, looks)
        source = time.thread_time() - own - looks.cpu_s
        self.wait(looks)
        self.check(strips)
        assert len(looks.taken) == len(STEADY), f"{series.total} frames were done before a second look: send more"
        (began, first, before, reads), (ended, last, after, reads_then) = looks.taken
        frames, took = last - first, ended - began
        spent = {**_less(after, before), "source": source * frames / series.total}
        return {
            **a_frame(spent, frames),
            "frames_per_s": round(frames / took, 1),
            "cores": round(sum(spent.values()) / took, 2),
            "reads_a_frame": round((reads_then - reads) / frames, 3),
        }

    def cpu_s(self) -> Cost:
        """CPU seconds so far, by kind of process."""
        spent: Cost = {}
        for name, process in self._processes():
            kind = name.partition("-")[0]
            spent[kind] = spent.get(kind, 0.0) + time.clock_gettime(_clock_of(process.pid))
        return spent

    def memory(self) -> dict[str, dict[str, float]]:
        """MiB by kind of process: the largest one's resident set, and the share of all that is theirs; Redis' own."""
        found: dict[str, dict[str, float]] = {}
        for name, process in self._processes():
            told, one = process.memory_full_info(), found.setdefault(name.partition("-")[0], {"processes": 0})
            one["processes"] += 1
            one["rss_mib_most"] = round(max(one.get("rss_mib_most", 0.0), told.rss / MIB), 2)
            one["pss_mib_all"] = round(one.get("pss_mib_all", 0.0) + told.pss / MIB, 2)
        found["redis"]["used_mib"] = round(self._redis.info("memory")["used_memory"] / MIB, 2)
        return found

    def done(self) -> int:
        """Frames judged of the runs of one camera that are open."""
        runs = [run_of(LINE, one.decode()) for one in self._redis.zrange(self._keys.open, 0, -1)]
        return sum(int(self._redis.bitcount(self._keys.seen(run, "top-1"))) for run in runs)

    def wait(self, look: Callable[[], object] = lambda: None, open_runs: int = 0) -> None:
        """Until no entry waits and no more runs are open than these."""
        deadline = time.monotonic() + STUCK_S
        while not self._settled(open_runs):
            look()
            if time.monotonic() > deadline:
                raise StripwatchError(f"no end after {STUCK_S:g} s: {self.pipeline.supervisor.last_words()}")
            self.pipeline.sleep(LOOK_EVERY_S)

    def _settled(self, open_runs: int) -> bool:
        keys = self._keys
        pipe = self._redis.pipeline(transaction=False)
        pipe.zcard(keys.open).xlen(keys.frames).xlen(keys.results)
        left, *waiting = pipe.execute()
        return left <= open_runs and not any(waiting)

    def check(self, strips: Sequence[Strip]) -> None:
        """AssertionError unless the verdicts account for every frame and defect that was sent."""
        for strip in strips:
            verdicts = [decode_verdict(self.pipeline.verdict(run).event.body) for run in strip.runs]
            judged = sum(camera.judged for verdict in verdicts for camera in verdict.cameras)
            assert (judged, sum(one.found for one in verdicts)) == (strip.sent, strip.bright), strip.runs
        assert not self.pipeline.supervisor.restarts, self.pipeline.supervisor.last_words()

    def reads(self) -> int:
        """How often anyone has asked for entries, of frames or of results."""
        return int(self._redis.info("commandstats")["cmdstat_xreadgroup"]["calls"])

    def used(self) -> int:
        return int(self._redis.info("memory")["used_memory"])

    def version(self) -> str:
        return str(self._redis.info("server")["redis_version"])

    def _processes(self) -> Iterator[tuple[str, psutil.Process]]:
        for name, child in self.pipeline.supervisor.children.items():
            yield name, self._known.setdefault(child.pid, psutil.Process(child.pid))


class Looks:
    """How far a run is and what was spent, at the bounds of its steady part; and what it cost to look."""

    def __init__(self, metered: Metered, total: int) -> None:
        self.taken: list[tuple[float, int, Cost, int]] = []
        self.cpu_s = 0.0
        self._metered, self._total = metered, total
        self._due = 0.0

    def __call__(self) -> None:
        if time.monotonic() < self._due:
            return
        began = time.thread_time()
        done = self._metered.done()
        if len(self.taken) < len(STEADY) and done >= STEADY[len(self.taken)] * self._total:
            self.taken.append((time.monotonic(), done, self._metered.cpu_s(), self._metered.reads()))
        self.cpu_s += time.thread_time() - began
        self._due = time.monotonic() + 4 * LOOK_EVERY_S


def _clock_of(pid: int) -> int:
    """What clock_getcpuclockid(3) gives: CPU time of all its threads in ns, where /proc counts in ticks of 10 ms."""
    return (~pid << 3) | 2


def _less(after: Cost, before: Cost) -> Cost:
    return {kind: spent - before[kind] for kind, spent in after.items()}


def a_frame(spent: Cost, frames: int) -> Cost:
    """µs a frame of all and of each."""
    each = {kind: round(cpu / frames * 1e6, 1) for kind, cpu in spent.items()}
    return {"all": round(sum(spent.values()) / frames * 1e6, 1), **each}


@contextmanager
def metered(
    pipeline: Pipeline, recipes: Path, *, start_s: float = 90.0, backlog_bytes: int = BACKLOG_BYTES
) -> Iterator[Metered]:
    """Starts it, and holds its line as a replay's source; so many bytes of frames may wait or be in hand."""
    write_recipe(recipes, SIDE_PX)
    try:
        pipeline.start(start_s)
        stream = connect(pipeline.redis_url)
        line = stream.line(LINE)
        feeder = Feeder(line, lambda: made.used() + backlog_bytes, Pictures(SIDE_PX, "hot-rolled"))
        made = Metered(pipeline, feeder)
        with Hold(line, owner_name(), live=False, stage="ingest"):
            made.cost(Series(WARM_FRAMES))
            yield made
        stream.close()
    finally:
        pipeline.stop()
