"""How long each service takes until it says that it is ready, and how much memory it holds; writes startup.json.

A service is started while Redis and its peers are up already; services and engines take turns. Memory at rest is that
of a pipeline of one process each, some seconds after it was ready; the demo's is the most of all processes together.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import redis
from conditions import ROOT, conditions, write
from footprint import at_rest, demo
from readying import another, end, seconds_until_ready

from stripwatch.local import Pipeline

MODELS = ("classifier", "anomaly")
OTHERS = ("preprocess", "aggregator", "ingest")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int = 5
    rest_s: float = 5.0
    engines: tuple[str, ...] = ("onnxruntime", "openvino")
    demo: bool = True


QUICK = Size(1, 0.5, ("onnxruntime",), demo=False)


def starts(pipeline: Pipeline, size: Size) -> dict[str, dict[str, Any]]:
    """Seconds until ready of each service, of model services by engine."""
    cases = [(kind, engine) for kind in MODELS for engine in size.engines] + [(kind, "") for kind in OTHERS]
    took: dict[str, list[float]] = {f"{kind}.{engine}".rstrip("."): [] for kind, engine in cases}
    for _ in range(size.rounds):
        for kind, engine in cases:
            seconds, child = seconds_until_ready(*another(pipeline, kind, engine))
            end(child)
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
