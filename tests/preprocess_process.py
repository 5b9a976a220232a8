"""Preprocess as a process on a real Redis, and frames for it: what tests of its outside share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis_servers import binaries, free_port, server

from preprocess_cases import RECIPE, RUN, header_of, strip_image
from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import RunId
from stripwatch.domain.result import FrameResult, Outcome
from stripwatch.domain.strip import RunStart
from stripwatch.ports import Kind, LineStream, Outgoing
from stripwatch.rpc.codec.frames import encode_header, encode_start
from stripwatch.rpc.codec.results import decode_result
from stripwatch.stream import connect

GREYS = [40, 200]


@contextmanager
def service(name: str, **values: object) -> Iterator[subprocess.Popen[str]]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("STRIPWATCH_")}
    env |= {f"STRIPWATCH_{key.upper()}": str(value) for key, value in values.items()}
    process = subprocess.Popen([sys.executable, "-m", f"stripwatch_{name}"], env=env, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def worker_settings(folder: Path, classifier: int) -> dict[str, object]:
    return {
        "redis_url": (folder / "url").read_text(),
        "recipes": folder,
        "classifier_address": f"127.0.0.1:{classifier}",
        "anomaly_address": "",
        "claim_idle_seconds": 1,
        "prefetch": 4,
        "health_port": free_port(),
    }


@contextmanager
def line_on_redis(folder: Path) -> Iterator[LineStream]:
    """line1 on a Redis of its own; `folder` gets the recipes `plain` (classifier alone) and `strict` (both)."""
    found = binaries()
    if not found:
        pytest.skip("no redis-server here")
    with server(next(iter(found.values())), folder) as port:
        stream = connect(f"redis://127.0.0.1:{port}")
        (folder / "url").write_text(f"redis://127.0.0.1:{port}")
        (folder / "plain.yaml").write_text(RECIPE.replace(", anomaly: texture", ""))
        strict = RECIPE.replace("name: plain", "name: strict").replace("[classifier]", "[classifier, anomaly]")
        (folder / "strict.yaml").write_text(strict)
        yield stream.line("line1")
        stream.close()


def start(line: LineStream, run: RunId = RUN, recipe: str = "plain") -> None:
    declared = RunStart(run, (Camera("cam1", Side.TOP, 20, 60),), recipe, 60, None, 1)
    line.source.start_run(run, encode_start(declared), cameras=["cam1"], live=True, deadline_ms=60_000)


def send(line: LineStream, first: int, count: int, run: RunId = RUN, greys: Sequence[int] = GREYS) -> None:
    for index in range(first, first + count):
        image = strip_image(greys[index % len(greys)])
        header = replace(header_of(image, index), run=run)
        line.source.publish([Outgoing(Kind.FRAME, run, encode_header(header), image.tobytes())])


def collect(line: LineStream, found: list[FrameResult], kinds: list[Kind]) -> None:
    for entry in line.results.read("test", 1000, 0):
        kinds.append(entry.kind)
        if entry.kind is Kind.RESULT:
            found.append(decode_result(entry.body))


class Results:
    """What has come into `results` so far."""

    def __init__(self, line: LineStream) -> None:
        self._line = line
        self.found: list[FrameResult] = []
        self.kinds: list[Kind] = []

    def count(self) -> int:
        collect(self._line, self.found, self.kinds)
        return len(self.found)

    def all_judged(self, frames: int) -> bool:
        """Whether each of that many frames has one result, and none is a failed one."""
        self.count()
        judged = [result.header.index for result in self.found if result.outcome is Outcome.JUDGED]
        return sorted(judged) == list(range(frames)) and len(self.found) == frames
