"""One process of a pipeline, started beside it and timed until it says that it is ready."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from small_frames import LINE

from stripwatch.errors import StripwatchError
from stripwatch.feed import new_run_id
from stripwatch.local import Pipeline
from stripwatch.local.child import Child, Spec
from stripwatch.local.feeds import folder_settings, simulator_settings
from stripwatch.local.ports import free_ports
from stripwatch.local.services import ingest_spec
from stripwatch.rpc import health
from stripwatch.rpc.channel import open_channel
from stripwatch.simulate.series import StripSeries

SIMULATOR = "ingest (simulator)"
LOOK_EVERY_S = 0.005
PATIENCE_S = 90.0
SLOW_M_PER_S = 0.01
"""An ingest at rest has a frame ready that is not due for a while."""


def seconds_until_ready(spec: Spec, address: str) -> tuple[float, Child]:
    """From the start of the process until its health says SERVING; the process runs on."""
    child = Child(spec, lambda _name, _line: None)
    host, _, port = address.rpartition(":")
    child.start()
    began = child.started_at
    while not _listens(host, int(port)):
        _refuse_if_hopeless(child, began)
    with open_channel(address) as channel:
        while health.status_on(channel, 1.0) != health.SERVING:
            _refuse_if_hopeless(child, began)
    return time.monotonic() - began, child


def _listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def _refuse_if_hopeless(child: Child, began: float) -> None:
    if not child.running or time.monotonic() - began > PATIENCE_S:
        child.kill()
        raise StripwatchError(f"{child.spec.name} does not get ready: {child.last_words}")
    time.sleep(LOOK_EVERY_S)


def another(pipeline: Pipeline, kind: str, engine: str) -> tuple[Spec, str]:
    """One more process of a service, and its address."""
    (port,) = free_ports(1)
    spec = slow_ingest(pipeline) if kind == "ingest" else pipeline.plan.spec(pipeline.plan.of(kind)[0])
    more = {"STRIPWATCH_HEALTH_PORT": str(port), "STRIPWATCH_HEALTH_HOST": "127.0.0.1"}
    more |= {"STRIPWATCH_ENGINE": engine} if engine else {}
    return replace(spec, env={**spec.env, **more}), f"127.0.0.1:{port}"


def slow_ingest(pipeline: Pipeline, folder: Path | None = None) -> Spec:
    """An ingest that has its next frame ready and waits: simulated, or from a folder of images."""
    settings = simulator_settings(StripSeries(1, 1000.0, 400.0, 0.5), 1, new_run_id(), SLOW_M_PER_S)
    if folder:
        settings |= folder_settings(folder, "rest", new_run_id())
    return ingest_spec("ingest" if folder else SIMULATOR, pipeline.redis_url, LINE, {**settings, **pipeline.plan.env})


def ready_until_left(stack: ExitStack, spec: Spec) -> Child:
    """Starts it, and ends it with the stack."""
    (port,) = free_ports(1)
    spec = replace(spec, env={**spec.env, "STRIPWATCH_HEALTH_PORT": str(port)})
    _, child = seconds_until_ready(spec, f"127.0.0.1:{port}")
    stack.callback(end, child)
    return child


def end(child: Child) -> None:
    child.terminate()
    if not child.wait(30.0):
        child.kill()
