"""Looks at a running pipeline from outside: its processes and its Redis, after so many frames."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import psutil
import redis
from small_frames import LINE, Load

from stripwatch.local.pipeline import Pipeline
from stripwatch.stream.keys import Keys

MIB = 2**20
BACKLOG_BYTES = 8 * MIB
"""What may wait in Redis: small, so that growth of anything else shows."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The pipeline after `done` frames, `wall_s` after the first."""

    done: int
    wall_s: float
    rss: dict[str, int]
    cpu_s: dict[str, float]
    redis: dict[str, int]
    """Bytes: `used`, `beside streams` (used less both streams), `run`, `seen`; entries: `frames`, `results`."""


class Watch:
    """Looks at the processes and at Redis from outside."""

    def __init__(self, pipeline: Pipeline, load: Load) -> None:
        self._pipeline, self._load = pipeline, load
        self._redis: Any = redis.Redis.from_url(load.redis_url)
        self._keys = Keys(LINE)
        self._processes: dict[str, psutil.Process] = {}
        self._began = time.monotonic()

    def done(self) -> int:
        """Frames judged or failed; -1 once the run is closed."""
        run = self._load.run
        if not self._redis.hexists(self._keys.run(run), "start"):
            return -1 if self._redis.hexists(self._keys.run(run), "closed") else 0
        judged = sum(self._redis.bitcount(self._keys.seen(run, name)) for name in self._load.camera_names)
        return int(judged) + int(self._redis.xlen(self._keys.dead))

    def sample(self, done: int) -> Sample:
        rss, cpu = {}, {}
        for name, child in self._pipeline.supervisor.children.items():
            try:
                process = self._processes.setdefault(name, psutil.Process(child.pid))
                times = process.cpu_times()
                rss[name], cpu[name] = process.memory_info().rss, times.user + times.system
            except psutil.NoSuchProcess:
                continue  # the source, when all its frames are out
        return Sample(done, time.monotonic() - self._began, rss, cpu, self._of_redis())

    def _of_redis(self) -> dict[str, int]:
        keys, run = self._keys, self._load.run
        used = int(self._redis.info("memory")["used_memory"])
        streams = self._bytes(keys.frames) + self._bytes(keys.results)
        return {
            "used": used,
            "beside streams": used - streams,
            "run": self._bytes(keys.run(run)),
            "seen": sum(self._bytes(keys.seen(run, name)) for name in self._load.camera_names),
            "frames": int(self._redis.xlen(keys.frames)),
            "results": int(self._redis.xlen(keys.results)),
        }

    def _bytes(self, key: str) -> int:
        return int(self._redis.memory_usage(key, samples=0) or 0)

    def budget(self) -> int:
        return int(self._redis.info("memory")["used_memory"]) + BACKLOG_BYTES

    def version(self) -> str:
        return str(self._redis.info("server")["redis_version"])
