"""One trial: so many live cameras through a running pipeline, what became of their frames, and what it cost."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from stripwatch.domain.frame import RunId
from stripwatch.errors import StripwatchError
from stripwatch.local import Pipeline
from stripwatch.local.child import Child
from stripwatch.ports import frames_in
from stripwatch.rpc.codec.results import decode_pins
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.sizing.load import DELIVER_S, CameraLoad, Offered
from stripwatch.stream.keys import Keys
from stripwatch.stream.redis.client import Client
from stripwatch.stream.redis.tls import RedisTls

_LOOK_EVERY_S = 0.004
_LOOK_SHARE = 20
"""Looking takes no more than one part in so many of a core: it looks less often where there is more to see."""
_STUCK_S = 60.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of `offered` frames of `cameras` cameras; times in ms from capture to recorded result."""

    cameras: int
    offered: int
    judged: int
    shed: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    cpu_s: Mapping[str, float] = field(default_factory=dict)
    """By service, all of its processes together; `ingest` is the cameras' own."""
    redis_in: int = 0
    redis_out: int = 0
    """Bytes over Redis' connections."""
    engines: Mapping[str, str] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        return self.offered - self.judged

    def holds(self, p99_ms: float) -> bool:
        """Whether every frame was judged, and 99 of 100 in time."""
        return self.lost == 0 and self.p99_ms <= p99_ms


class Trials:
    """Trials through one pipeline, one after the other."""

    def __init__(self, pipeline: Pipeline, folder: Path) -> None:
        self._pipeline = pipeline
        self._folder = folder
        self._client = Client(pipeline.redis_url, 5.0, RedisTls())
        self._number = 0

    def close(self) -> None:
        self._client.close()

    def redis_version(self) -> str:
        return str(self._client.server_info("server", "sw")["redis_version"])

    def run(self, **kind: Any) -> Trial:
        """One load, `kind` as in CameraLoad, to its verdicts. StripwatchError if a process ends or nothing moves."""
        self._number += 1
        account = self._folder / "account.json"
        line = self._pipeline.plan.lines[0]
        given = CameraLoad(line=line, strip=f"trial-{self._number}", account=str(account), **kind)
        before, net = self._cpu(), self._net()
        restarts = self._pipeline.supervisor.restarts
        source = self._pipeline.supervisor.start(given.process(f"ingest-{self._number}", self._pipeline.redis_url))
        self._pipeline.supervisor.leave_alone(source.spec.name)
        seen, engines = self._follow(given, source)
        self._pipeline.finish(source, DELIVER_S)
        del self._pipeline.supervisor.children[source.spec.name]
        after, net_after = self._cpu(), self._net()
        if self._pipeline.supervisor.restarts != restarts:
            raise StripwatchError(f"a service ended during the trial: {self._pipeline.supervisor.last_words()}")
        offered = Offered(**json.loads(account.read_text(encoding="utf-8")))
        if len(offered.captured_at) != given.frames:
            raise StripwatchError(f"{source.spec.name} was stopped after {len(offered.captured_at)} of {given.frames}")
        spent = {name: after[name] - before[name] for name in after}
        return Trial(
            cameras=given.cameras,
            offered=given.cameras * given.frames,
            judged=self._judged(given),
            shed=offered.shed,
            **_quantiles(seen, offered),
            cpu_s={"ingest": offered.cpu_s, **spent},
            redis_in=net_after[0] - net[0],
            redis_out=net_after[1] - net[1],
            engines=engines,
        )

    def _judged(self, given: CameraLoad) -> int:
        found = [decode_verdict(self._pipeline.verdict(run).event.body) for run in given.runs]
        return sum(camera.judged for verdict in found for camera in verdict.cameras)

    def _follow(self, given: CameraLoad, source: Child) -> tuple[npt.NDArray[np.float64], Mapping[str, str]]:
        """When each frame's result was seen (UTC s), (cameras, frames), at the end of all runs; and the engines."""
        watch = _Watch(self._client, given)
        engines: dict[str, str] = {}
        patience = _STUCK_S + (2 / given.rate if given.rate else 0.0)
        moved, before = time.monotonic(), -1
        while watch.open:
            began = time.monotonic()
            watch.look()
            if watch.done and not engines:
                engines = self._engines(watch.open[0]) if watch.open else {}
            if watch.done != before:
                before, moved = watch.done, began
            elif began - moved > patience or (source.code or 0) > 0:
                raise StripwatchError(f"nothing moves any more: {self._pipeline.supervisor.last_words()}")
            self._pipeline.sleep(max(_LOOK_EVERY_S, (time.monotonic() - began) * _LOOK_SHARE))
        return watch.seen, engines

    def _engines(self, run: RunId) -> dict[str, str]:
        state = self._pipeline.line().runs.state(run)
        if state is None or not state.pins:
            return {}
        return {role.value: engine for role, engine in decode_pins(state.pins).engines.items()}

    def _net(self) -> tuple[int, int]:
        stats = self._client.server_info("stats", "sw")
        return int(stats["total_net_input_bytes"]), int(stats["total_net_output_bytes"])

    def _cpu(self) -> dict[str, float]:
        """CPU seconds of each service so far; StripwatchError if a process of one is gone."""
        spent: dict[str, float] = {}
        for name, child in self._pipeline.supervisor.children.items():
            if not child.running:
                raise StripwatchError(f"{name} {child.reason} during the trial: {child.last_words}")
            times = psutil.Process(child.pid).cpu_times()
            service = name.partition("-")[0]
            own, forked = times.user + times.system, times.children_user + times.children_system
            spent[service] = spent.get(service, 0.0) + own + forked  # Redis rewrites its file in a fork
        return spent


class _Watch:
    """Looks at which frames are judged by now: a bitmap a camera, and all of them in one round trip."""

    def __init__(self, client: Client, given: CameraLoad) -> None:
        self.open = list(given.runs)
        self.seen = np.full((given.cameras, given.frames), np.nan)
        self.done = 0
        self._client, self._keys = client, Keys(given.line)
        self._rows: dict[RunId, list[int]] = {}
        self._names = {run: [name for name, _, _ in cameras] for run, cameras in given.runs.items()}
        row = 0
        for run, names in self._names.items():
            self._rows[run] = list(range(row, row + len(names)))
            row += len(names)
        self._last = [b""] * given.cameras

    def look(self) -> None:
        now = time.time()
        asked = [["HEXISTS", self._keys.run(run), "closed"] for run in self.open]
        asked += [["GET", self._keys.seen(run, name)] for run in self.open for name in self._names[run]]
        answers = self._client.do_all(self._keys.frames, asked)
        rows = [row for run in self.open for row in self._rows[run]]
        for row, bitmap in zip(rows, answers[len(self.open) :], strict=True):
            if bitmap and bitmap != self._last[row]:
                self._last[row] = bitmap
                self._mark(row, frames_in(bitmap), now)
        closed = [run for run, answer in zip(self.open, answers, strict=False) if answer]
        for run in closed:
            for row in self._rows[run]:  # what was recorded since the last look went with the run
                self._mark(row, np.arange(self.seen.shape[1]), now)
        self.open = [run for run in self.open if run not in closed]

    def _mark(self, row: int, frames: npt.NDArray[np.intp], now: float) -> None:
        fresh = frames[np.isnan(self.seen[row, frames])]
        self.seen[row, fresh] = now
        self.done += len(fresh)


def _quantiles(seen: npt.NDArray[np.float64], offered: Offered) -> dict[str, float]:
    late = (seen - np.array(offered.captured_at)) * 1000  # (cameras, frames)
    p50, p99, worst = np.quantile(late, (0.5, 0.99, 1.0), method="higher").round(1).tolist()
    return {"p50_ms": p50, "p99_ms": p99, "worst_ms": worst}
