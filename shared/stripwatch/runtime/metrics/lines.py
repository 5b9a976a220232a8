"""How lines stand in Redis, as the aggregator last saw them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stripwatch.ports import Backlog, MemoryUse

OLD_S = 15.0
"""A look that is older says nothing of now: its series go, so that whoever goes by them notices."""


@dataclass(frozen=True, slots=True)
class Look:
    """One line at one moment; `workers` are those heard of lately, by stage."""

    frames: Backlog
    results: Backlog
    dead: int
    open_runs: int
    workers: Mapping[str, int]
    memory: MemoryUse


class LineLooks(Collector):
    """The last look at each line."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._looks: dict[str, tuple[float, Look]] = {}

    def saw(self, line: str, look: Look) -> None:
        self._looks[line] = self._monotonic(), look

    def collect(self) -> Iterable[Metric]:
        ages = _gauge(
            "queue_age_seconds", "Age of the oldest entry that is not done; 0: there is none", "line", "queue"
        )
        entries = _gauge("queue_entries", "Entries that are not done", "line", "queue")
        dead = _gauge("dead_entries", "Entries in the dead stream", "line")
        runs = _gauge("open_runs", "Runs without a verdict", "line")
        workers = _gauge("workers", "Processes that were heard of in the last seconds", "line", "stage")
        used = _gauge("redis_memory_bytes", "Memory that Redis uses; of several servers the fullest")
        limit = _gauge("redis_memory_limit_bytes", "The limit of that memory; 0: none")
        since = self._monotonic() - OLD_S
        fresh = {line: look for line, (at, look) in sorted(self._looks.items()) if at >= since}
        for line, look in fresh.items():
            for queue, backlog in (("frames", look.frames), ("results", look.results)):
                ages.add_metric([line, queue], backlog.oldest_ms / 1000)
                entries.add_metric([line, queue], backlog.waiting)
            dead.add_metric([line], look.dead)
            runs.add_metric([line], look.open_runs)
            for stage, count in look.workers.items():
                workers.add_metric([line, stage], count)
        if fresh:
            fullest = max((look.memory for look in fresh.values()), key=lambda memory: memory.used)
            used.add_metric([], fullest.used)
            limit.add_metric([], fullest.limit)
        return [ages, entries, dead, runs, workers, used, limit]


def _gauge(name: str, says: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"stripwatch_{name}", says, labels=labels)


LINE_LOOKS = LineLooks()
REGISTRY.register(LINE_LOOKS)
