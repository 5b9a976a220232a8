"""The aggregator as a process, and strips whose frames are judged already: what tests of its outside share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc

from aggregator_cases import end, pins, result, scratch, start
from stripwatch.domain.frame import RunId
from stripwatch.local.ports import free_ports
from stripwatch.ports import Done, Kind, LineStream, Outgoing
from stripwatch.rpc.codec.frames import encode_end, encode_header, encode_start
from stripwatch.rpc.codec.results import encode_pins, encode_result
from stripwatch.rpc.health import status
from stripwatch.rpc.v1 import verdict_pb2 as pb
from stripwatch.rpc.v1 import verdict_pb2_grpc

SERVICE = "stripwatch.rpc.v1.Verdicts"


def until(condition: Callable[[], object], what: str, seconds: float = 30, log: Sequence[str] = ()) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"{what}: not within {seconds} s\n{''.join(log)}"
        time.sleep(0.02)


def feed(line: LineStream, strip: str, frames: int = 3, defects: int = 0, conclude: bool = True) -> RunId:
    """One strip's worth of results, as ingest and workers would leave them."""
    run = RunId(line.line, strip, "run1")
    begun = start(run)
    line.source.start_run(run, encode_start(begun), cameras=["c1"], live=False, deadline_ms=60_000)
    line.work.pin(run, encode_pins(pins()))
    judged = [result(index, scratch(index) if index < defects else None, run=run) for index in range(frames)]
    line.source.publish([Outgoing(Kind.FRAME, run, encode_header(one.header), b"pixels") for one in judged])
    if conclude:
        line.source.publish([Outgoing(Kind.END, run, encode_end(end(frames, run=run)))])
    bodies = iter(judged)
    done = []
    for entry in line.frames.read("worker", 1_000, 0):
        kind, body = (
            (Kind.RESULT, encode_result(next(bodies))) if entry.kind is Kind.FRAME else (entry.kind, entry.body)
        )
        done.append(Done(entry.id, kind, run, body))
    line.work.finish(done)
    return run


class Aggregator:
    """`python -m stripwatch_aggregator` on a port of its own."""

    def __init__(self, url: str, **settings: str) -> None:
        (port,) = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        variables = {"REDIS_URL": url, "LINES": "line1,line2", "HEALTH_PORT": str(port), **settings}
        environment = os.environ | {f"STRIPWATCH_{name}": value for name, value in variables.items()}
        command = [sys.executable, "-m", "stripwatch_aggregator"]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        self.log: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr
        self.log.extend(self.process.stderr)

    def ready(self) -> Aggregator:
        until(lambda: status(self.address, 1, SERVICE) == "SERVING", "the aggregator", log=self.log)
        return self

    def stub(self) -> verdict_pb2_grpc.VerdictsStub:
        return verdict_pb2_grpc.VerdictsStub(grpc.insecure_channel(self.address))

    def watch(self, cursor: str = "", heartbeat_seconds: int = 0) -> Any:
        request = pb.WatchRequest(line="line1", cursor=cursor, heartbeat_seconds=heartbeat_seconds)
        return self.stub().Watch(request, timeout=60)

    def end(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(20)


@contextmanager
def aggregator(url: str, **settings: str) -> Iterator[Aggregator]:
    one = Aggregator(url, **settings)
    try:
        yield one.ready()
    finally:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
