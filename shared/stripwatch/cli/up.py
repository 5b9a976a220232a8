"""`stripwatch up`: the whole pipeline on this machine, kept alive until Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from stripwatch.cli.interrupt import interrupt
from stripwatch.cli.show import console, table
from stripwatch.cli.where import DEFAULT_LINE, named_redis
from stripwatch.errors import Conflict
from stripwatch.local import Pipeline
from stripwatch.local.services import ingest_spec
from stripwatch.local.state import PLACE, UpState, read_state, remove_state
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.stream.redis.address import public

_HUES = (36, 32, 35, 33, 34)


def up(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Preprocess workers")] = 1,
    classifiers: Annotated[int, typer.Option(min=1, max=16, help="Classifier replicas")] = 1,
    redis: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Use this Redis [env: STRIPWATCH_REDIS_URL] [default: an embedded one]"),
    ] = None,
    line: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help=f"Rolling line, may be repeated [default: {DEFAULT_LINE}]")
    ] = None,
    data: Annotated[
        Path, typer.Option(metavar="DIR", file_okay=False, help="Where the embedded Redis keeps its file")
    ] = Path("var/redis"),
) -> None:
    """Run the whole pipeline here until Ctrl-C.

    Starts Redis and all services, starts again what dies, stops them in order at Ctrl-C or SIGTERM.
    With STRIPWATCH_SOURCE set, a camera-ingest by the environment's settings runs too.

    Its Redis flushes its file once a second: a power cut may lose the last one.
    """
    other = read_state()
    if other:
        raise Conflict(
            f"a pipeline runs in this folder already (process {other.pid}): stop it first, or use another folder"
        )
    signal.signal(signal.SIGTERM, interrupt)
    started = time.monotonic()
    named = named_redis(redis)
    pipeline = Pipeline(
        data,
        redis_url=named.redis_url.get_secret_value() if named else None,
        lines=tuple(line or [DEFAULT_LINE]),
        workers=workers,
        classifiers=classifiers,
        durable=True,
        sink=prefixed,
    )
    with pipeline:
        lifecycle = Lifecycle()
        lifecycle.listen()
        state = UpState(
            os.getpid(),
            pipeline.redis_url,
            pipeline.plan.lines,
            pipeline.verdicts_address,
            dict(pipeline.plan.addresses),
        )
        state.write()
        try:
            announce(pipeline, time.monotonic() - started)
            if os.environ.get("STRIPWATCH_SOURCE"):
                source_line = os.environ.get("STRIPWATCH_LINE", pipeline.plan.lines[0])
                pipeline.supervisor.start(ingest_spec("ingest", pipeline.redis_url, source_line, {}))
            while lifecycle.running:
                pipeline.tend()
                lifecycle.sleep(0.2)
            prefixed("supervisor", "stopping")
        finally:
            remove_state()


def announce(pipeline: Pipeline, took_s: float) -> None:
    """Where everything listens."""
    rows = [("Redis", public(pipeline.redis_url)), ("Verdicts", pipeline.verdicts_address)]
    rows += [(name, address) for name, address in pipeline.plan.addresses.items() if name != "aggregator"]
    out = console()
    out.print()
    out.print(table((f"ready in {took_s:.1f} s", "listens at"), rows))
    out.print(f"\nline {', '.join(pipeline.plan.lines)}; other commands in this folder find it ({PLACE})")
    out.print("try: stripwatch simulate, stripwatch verdicts --follow, stripwatch doctor. Ctrl-C stops it.\n")


def prefixed(name: str, line: str) -> None:
    """A child's log line, with its name in front."""
    label = f"{name:<12} |"
    if sys.stderr.isatty():
        label = f"\033[{_HUES[sum(name.encode()) % len(_HUES)]}m{label}\033[0m"
    sys.stderr.write(f"{label} {line}\n")
    sys.stderr.flush()
