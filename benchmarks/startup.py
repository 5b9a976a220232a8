"""How long each service takes until it says that it is ready, and how much memory it holds; writes startup.json.

A service is started while Redis and its peers are up already; services and engines take turns. Memory at rest is that
of a pipeline of one process each, some seconds after it was ready; the demo's is the most of all processes together.
PSS counts a page that several processes share once, in equal parts; RSS counts it for each of them.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import psutil
import redis
from conditions import ROOT, conditions, write
from line_frames import draw
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

MIB = 2**20
MODELS = ("classifier", "anomaly")
OTHERS = ("preprocess", "aggregator", "ingest")
SIMULATOR = "ingest (simulator)"
LOOK_EVERY_S = 0.005
SAMPLE_EVERY_S = 0.2
PATIENCE_S = 90.0
SLOW_M_PER_S = 0.01
"""An ingest at rest has a frame ready that is not due for a while."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int = 5
    rest_s: float = 5.0
    engines: tuple[str, ...] = ("onnxruntime", "openvino")
    demo: bool = True


QUICK = Size(1, 0.5, ("onnxruntime",), demo=False)


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


def _another(pipeline: Pipeline, kind: str, engine: str) -> tuple[Spec, str]:
    """One more process of a service, and its address."""
    (port,) = free_ports(1)
    spec = _slow_ingest(pipeline) if kind == "ingest" else pipeline.plan.spec(pipeline.plan.of(kind)[0])
    more = {"STRIPWATCH_HEALTH_PORT": str(port), "STRIPWATCH_HEALTH_HOST": "127.0.0.1"}
    more |= {"STRIPWATCH_ENGINE": engine} if engine else {}
    return replace(spec, env={**spec.env, **more}), f"127.0.0.1:{port}"


def _slow_ingest(pipeline: Pipeline, folder: Path | None = None) -> Spec:
    """An ingest that has its next frame ready and waits: simulated, or from a folder of images."""
    settings = simulator_settings(StripSeries(1, 1000.0, 400.0, 0.5), 1, new_run_id(), SLOW_M_PER_S)
    if folder:
        settings |= folder_settings(folder, "rest", new_run_id())
    return ingest_spec("ingest" if folder else SIMULATOR, pipeline.redis_url, LINE, {**settings, **pipeline.plan.env})


def starts(pipeline: Pipeline, size: Size) -> dict[str, dict[str, Any]]:
    """Seconds until ready of each service, of model services by engine."""
    cases = [(kind, engine) for kind in MODELS for engine in size.engines] + [(kind, "") for kind in OTHERS]
    took: dict[str, list[float]] = {f"{kind}.{engine}".rstrip("."): [] for kind, engine in cases}
    for _ in range(size.rounds):
        for kind, engine in cases:
            seconds, child = seconds_until_ready(*_another(pipeline, kind, engine))
            _end(child)
            took[f"{kind}.{engine}".rstrip(".")].append(round(seconds, 3))
    return {
        name: {"median_s": round(median(each), 3), "worst_s": max(each), "rounds_s": each}
        for name, each in took.items()
    }


@contextmanager
def running(engine: str, folder: Path) -> Iterator[Pipeline]:
    """A pipeline of the shipped models, one process each."""
    env = {"STRIPWATCH_ENGINE": engine, "STRIPWATCH_MODELS": str(ROOT / "models")}
    with Pipeline(folder / "redis", env=env) as pipeline:
        yield pipeline


def at_rest(pipeline: Pipeline, rest_s: float, folder: Path) -> dict[str, dict[str, float]]:
    """MiB of each process after all were ready for a while; of all with an ingest of images, as one feeds the line."""
    for number, picture in enumerate(draw(width_px=800, pictures=3)):
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    found: dict[str, dict[str, float]] = {}
    for place in (None, folder):
        with ExitStack() as stack:
            ingest = _ready_until_left(stack, _slow_ingest(pipeline, place))
            time.sleep(rest_s)
            children = [*pipeline.supervisor.children.values(), ingest]
            found |= {child.spec.name.removesuffix("-1"): _memory(psutil.Process(child.pid)) for child in children}
    return {**found, "all": _sum({name: one for name, one in found.items() if name != SIMULATOR})}


def _ready_until_left(stack: ExitStack, spec: Spec) -> Child:
    """Starts it, and ends it with the stack."""
    (port,) = free_ports(1)
    spec = replace(spec, env={**spec.env, "STRIPWATCH_HEALTH_PORT": str(port)})
    _, child = seconds_until_ready(spec, f"127.0.0.1:{port}")
    stack.callback(_end, child)
    return child


def _end(child: Child) -> None:
    child.terminate()
    if not child.wait(30.0):
        child.kill()


def _memory(process: psutil.Process) -> dict[str, float]:
    memory = process.memory_full_info()
    return {"pss_mib": round(memory.pss / MIB, 1), "rss_mib": round(memory.rss / MIB, 1)}


def _sum(found: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {name: round(sum(one[name] for one in found.values()), 1) for name in ("pss_mib", "rss_mib")}


def demo(engine: str, folder: Path) -> dict[str, Any]:
    """The most memory of `stripwatch demo` and all its processes together, while it runs to its end."""
    command = [sys.executable, "-m", "stripwatch.cli", "demo"]
    env = {**os.environ, "STRIPWATCH_ENGINE": engine, "STRIPWATCH_MODELS": str(ROOT / "models")}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "page").open("wb") as page:
        shown = subprocess.Popen(command, env=env, cwd=folder, stdout=page, stderr=page)
        most: dict[str, dict[str, float]] = {}
        samples = 0
        while shown.poll() is None:
            found = _tree(psutil.Process(shown.pid))
            if found and (not most or _sum(found)["pss_mib"] > _sum(most)["pss_mib"]):
                most = found
            samples += 1
            time.sleep(SAMPLE_EVERY_S)
    if shown.returncode:
        raise StripwatchError(f"the demo ended with {shown.returncode}: {(folder / 'page').read_text()[-500:]}")
    return {"most": _sum(most), "by_process": most, "samples": samples}


def _tree(root: psutil.Process) -> dict[str, dict[str, float]]:
    """Memory by process; those that end while we look are left out."""
    found = {}
    for process in (root, *root.children(recursive=True)):
        try:
            found[_name(process.cmdline())] = _memory(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def _name(command: Sequence[str]) -> str:
    """A service by its module, the server by its program, the demo by itself."""
    modules = [part for part in command if part.startswith("stripwatch_")]
    if modules:
        return modules[0].removeprefix("stripwatch_")
    return "redis" if command and "redis-server" in command[0] else "command line"


def measure(size: Size, folder: Path) -> dict[str, Any]:
    """Starts, memory at rest, and the demo's."""
    rest, shown, version = {}, {}, ""
    took: dict[str, dict[str, Any]] = {}
    for engine in size.engines:
        (folder / engine).mkdir(parents=True)
        with running(engine, folder / engine) as pipeline:
            rest[engine] = at_rest(pipeline, size.rest_s, folder / engine)
            if not took:
                took = starts(pipeline, size)
                client: Any = redis.Redis.from_url(pipeline.redis_url)
                version = str(client.info("server")["redis_version"])
        if size.demo:
            shown[engine] = demo(engine, folder / f"demo-{engine}")
    return {"redis": version, "start": took, "at_rest": rest, "demo": shown}


def show(result: Mapping[str, Any]) -> None:
    """Tables for a terminal."""
    print("until ready             median s  worst s")
    for name, one in result["start"].items():
        print(f"{name:<24} {one['median_s']:>7} {one['worst_s']:>8}")
    for title, of_engine in (
        ("at rest", result["at_rest"]),
        (
            "demo, at its most",
            {engine: {**one["by_process"], "all": one["most"]} for engine, one in result["demo"].items()},
        ),
    ):
        for engine, found in of_engine.items():
            print(f"{title}, {engine}: MiB  PSS      RSS")
            for name, one in found.items():
                print(f"  {name:<22} {one['pss_mib']:>7} {one['rss_mib']:>8}")


def main() -> None:
    """Measures, prints the figures and writes them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds: does it work at all")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None)
    chosen = parser.parse_args()
    size = QUICK if chosen.quick else Size()
    size = replace(size, rounds=chosen.rounds or size.rounds)
    before = conditions("make bench-startup", "")
    with tempfile.TemporaryDirectory() as name:
        result = measure(size, Path(name))
    before["redis"] = result.pop("redis")
    aims = {"ready_s": 3, "model_service_mib": 250, "other_service_mib": 80, "demo_mib": 1500}
    write("startup", {**before, "aims": aims, **result}, chosen.out)
    show(result)


if __name__ == "__main__":
    main()
