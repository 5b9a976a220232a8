"""The Redis of a chaos run: one server behind a proxy, a primary that Sentinels watch, or a cluster with replicas."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis_servers import Server, Watched, binaries, cluster_nodes, watched

from chaos.proxy import FaultProxy
from chaos.strips import LINE
from stripwatch.local.child import Spec
from stripwatch.local.ports import free_ports
from stripwatch.local.redis import wait_for_redis
from stripwatch.local.supervisor import Supervisor
from stripwatch.stream.keys import Keys

MAXMEMORY = "128mb"
KINDS = ("7", "8", "sentinel", "cluster")


class Store(Protocol):
    """What a chaos run needs of its Redis."""

    @property
    def url(self) -> str:
        """For the services."""

    @property
    def direct_url(self) -> str:
        """For the books: no proxy between."""

    @property
    def keeps(self) -> bool:
        """Whether a server that ends loses nothing it acknowledged."""

    @property
    def fails_over(self) -> bool:
        """Whether another takes over from a server that ends, or that is silent for a while."""

    @property
    def proxy(self) -> FaultProxy | None:
        """What lies between the services and it."""

    def admin(self) -> redis.Redis:
        """A client of the server that has the line now."""

    def send(self, number: signal.Signals) -> None:
        """To the server that has the line now; SIGCONT: to the one that was hit last."""

    def fail_over(self) -> None:
        """Asks a replica to take over."""

    def home(self) -> int:
        """The port of the server that has the line now."""

    def agreed(self) -> bool:
        """Whether all servers agree on who has the line."""


def open_store(folder: Path, kind: str, aof: str, supervisor: Supervisor, stack: ExitStack) -> Store:
    """The Redis of that kind, ready; it ends with the stack, or with the supervisor's children."""
    if kind == "sentinel":
        return Sentinels(folder, stack)
    if kind == "cluster":
        return Cluster(folder, stack)
    return Standalone(folder, kind, aof, supervisor, stack)


class Standalone:
    """One server, started again by the supervisor when it ends."""

    def __init__(self, folder: Path, kind: str, aof: str, supervisor: Supervisor, stack: ExitStack) -> None:
        (self._port,) = free_ports(1)
        proxy = stack.enter_context(FaultProxy(self._port))
        self.proxy: FaultProxy | None = proxy
        self.url = f"redis://127.0.0.1:{proxy.port}/0"
        self.direct_url = f"redis://127.0.0.1:{self._port}/0"
        self.keeps = aof != "no"
        self.fails_over = False
        self._supervisor = supervisor
        home = folder / "redis"
        home.mkdir()
        options = ("--appendonly", "no") if aof == "no" else ("--appendonly", "yes", "--appendfsync", aof)
        command = (
            *(binaries()[kind], "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(home)),
            *(*options, "--save", "", "--maxmemory", MAXMEMORY, "--maxmemory-policy", "noeviction"),
            *("--daemonize", "no", "--logfile", "redis.log"),
        )
        wait_for_redis(self.direct_url, supervisor.start(Spec("redis", command)), 30.0)

    def home(self) -> int:
        return self._port

    def admin(self) -> redis.Redis:
        return _client(self._port)

    def send(self, number: signal.Signals) -> None:
        self._supervisor.children["redis"].send(number)

    def fail_over(self) -> None:
        """There is nobody to take over."""

    def agreed(self) -> bool:
        return True


class Sentinels:
    """A primary with two replicas; one that was killed stays away, so one replica is left to follow."""

    keeps = False
    fails_over = True
    proxy: FaultProxy | None = None

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._all: Watched = stack.enter_context(watched(binaries()[max(binaries())], folder, replicas=2))
        self._hit = self._all.primary
        self.url = self.direct_url = self._all.url
        for one in self._servers():
            one.client().config_set("maxmemory", MAXMEMORY)

    def _servers(self) -> list[Server]:
        return [self._all.primary, *self._all.replicas]

    def home(self) -> int:
        return self._all.named()

    def admin(self) -> redis.Redis:
        return _client(self.home())

    def send(self, number: signal.Signals) -> None:
        if number is not signal.SIGCONT:
            port = self._all.named()
            self._hit = next(one for one in self._servers() if one.port == port)
        self._hit.process.send_signal(number)

    def fail_over(self) -> None:
        client: Any = self._all.sentinels[0].client()
        client.execute_command("SENTINEL FAILOVER", "steel")

    def agreed(self) -> bool:
        """An old primary that lives is told only some ten seconds after the others that it is none any more."""
        roles = {one.port: _role(one) for one in self._servers()}
        return [port for port, role in roles.items() if role == "master"] == [self._all.named()]


class Cluster:
    """Three primaries with a replica each; one that was killed stays away."""

    keeps = False
    fails_over = True
    proxy: FaultProxy | None = None

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._nodes = stack.enter_context(cluster_nodes(binaries()[max(binaries())], folder, replicas=3))
        self.url = "redis-cluster://" + ",".join(f"127.0.0.1:{one.port}" for one in self._nodes)
        self.direct_url = self.url
        self._hit = self._nodes[0]
        for one in self._nodes:
            one.client().config_set("maxmemory", MAXMEMORY)

    def home(self) -> int:
        return self._home().port

    def _home(self) -> Server:
        """The node that has the line now."""
        client: Any = _any_of(self._nodes)
        slot = int(client.execute_command("CLUSTER KEYSLOT", Keys(LINE).frames))
        for place, state in client.cluster("NODES").items():
            spans = [(int(first), int(last or first)) for first, *rest in state["slots"] for last in (rest or [""])]
            if "fail" not in state["flags"].split(",") and any(first <= slot <= last for first, last in spans):
                port = int(place.rpartition(":")[2])
                return next(one for one in self._nodes if one.port == port)
        raise redis.exceptions.ConnectionError(f"no node has slot {slot}")

    def admin(self) -> redis.Redis:
        return _client(self.home())

    def send(self, number: signal.Signals) -> None:
        if number is not signal.SIGCONT:
            self._hit = self._home()
        self._hit.process.send_signal(number)

    def fail_over(self) -> None:
        home = self._home()
        for one in self._nodes:
            if one is not home and _replica_of(one) == home.port:
                client: Any = one.client()
                client.execute_command("CLUSTER FAILOVER")

    def agreed(self) -> bool:
        client: Any = _any_of(self._nodes)
        return _role(self._home()) == "master" and client.cluster("INFO")["cluster_state"] == "ok"


def _client(port: int, *, decode: bool = False) -> redis.Redis:
    """One try: whoever waits here holds up all faults that are due."""
    once = Retry(NoBackoff(), 0)
    return redis.Redis(port=port, socket_timeout=0.5, socket_connect_timeout=0.5, retry=once, decode_responses=decode)


def _replica_of(node: Server) -> int:
    """The port of its primary; 0 if it is one itself, or does not answer."""
    try:
        return int(_client(node.port, decode=True).info("replication").get("master_port", 0))
    except redis.RedisError:
        return 0


def _role(node: Server) -> str:
    """master or slave; "" if it does not answer."""
    try:
        return str(_client(node.port, decode=True).info("replication")["role"])
    except redis.RedisError:
        return ""


def _any_of(nodes: list[Server]) -> redis.Redis:
    """A client of a node that answers and has heard who is gone."""
    for one in nodes:
        client = _client(one.port, decode=True)
        try:
            if client.cluster("INFO")["cluster_state"] == "ok":
                return client
        except redis.RedisError:
            continue
    raise redis.exceptions.ConnectionError("no node of the cluster is well")
