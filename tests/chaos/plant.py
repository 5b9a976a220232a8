"""The processes of one chaos run: Redis behind a proxy, model services behind proxies, workers, aggregators, an MES."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from chaos.proxy import FaultProxy, Faults
from chaos.servers import open_store
from chaos.strips import LINE, LIVE_DEADLINE_S
from stripwatch.local.child import Child, Spec
from stripwatch.local.ports import free_ports
from stripwatch.local.services import Plan, ingest_spec
from stripwatch.local.supervisor import VOICE, Supervisor
from stripwatch.rpc import health
from stripwatch.stream import RedisStream, connect

TESTS = Path(__file__).parents[1]
TIMEOUT_S = 1.0
SETTINGS = {
    "STRIPWATCH_REDIS_TIMEOUT_SECONDS": f"{TIMEOUT_S:g}",
    "STRIPWATCH_CLAIM_IDLE_SECONDS": "1.5",
    "STRIPWATCH_REQUEST_SECONDS": "1.5",
    "STRIPWATCH_DRAIN_SECONDS": "2",
    "STRIPWATCH_MAX_DELIVERIES": "50",
    "STRIPWATCH_ENGINE_WORKERS": "1",
    "STRIPWATCH_RESCAN_SECONDS": "60",
    "STRIPWATCH_PREFETCH": "8",
}


class Plant:
    """Starts all, keeps all alive, remembers what each said and how each ended."""

    def __init__(
        self,
        folder: Path,
        models: Path,
        recipes: Path,
        kind: str,
        aof: str = "no",
        aggregators: int = 1,
        latency_s: float = 0.0,
    ) -> None:
        self.folder = folder
        self.ends: list[str] = []
        """How processes ended that were started again, in the supervisor's words."""
        self._log = (folder / "services.log").open("w", encoding="utf-8")
        self.supervisor = Supervisor(self._hear)
        self._stack = ExitStack()
        names = ["preprocess-1", "preprocess-2", *(f"aggregator-{one + 1}" for one in range(aggregators))]
        names += ["classifier-1", "anomaly-1"]
        addresses = dict(zip(names, (f"127.0.0.1:{port}" for port in free_ports(len(names))), strict=True))
        self.proxies = {
            role: self._stack.enter_context(FaultProxy(_port(addresses[f"{role}-1"]), Faults(latency_s=latency_s)))
            for role in ("classifier", "anomaly")
        }
        self.store = open_store(folder, kind, aof, self.supervisor, self._stack)
        if self.store.proxy:
            self.proxies["redis"] = self.store.proxy
        env = {**SETTINGS, "STRIPWATCH_MODELS": str(models), "STRIPWATCH_RECIPES": str(recipes)}
        self.plan = Plan(self.store.url, (LINE,), addresses, env)

    def __enter__(self) -> Plant:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        for name in self.plan.addresses:
            self.supervisor.start(self._spec(name))
        self.supervisor.start(self._mes_spec())
        self.wait_healthy(60.0)

    def wait_healthy(self, timeout_s: float) -> None:
        """TimeoutError names those that do not say SERVING."""
        deadline = time.monotonic() + timeout_s
        while sick := self.sick():
            if time.monotonic() > deadline:
                words = self.supervisor.last_words(sick)
                raise TimeoutError(f"not healthy after {timeout_s:g} s: {words}")
            self.supervisor.tend()
            time.sleep(0.05)

    def sick(self) -> list[str]:
        """Services that do not say SERVING now."""
        return [name for name, place in self.plan.addresses.items() if health.status(place, 0.5) != health.SERVING]

    def connect(self, *, direct: bool = False) -> RedisStream:
        return connect(self.store.direct_url if direct else self.store.url, timeout_s=TIMEOUT_S)

    def feed(self, settings: Mapping[str, str]) -> Child:
        """An ingest process, live; the driver starts it again where it was ended."""
        live = {"STRIPWATCH_LIVE": "true", "STRIPWATCH_RUN_DEADLINE_SECONDS": f"{LIVE_DEADLINE_S:g}", **settings}
        common = {"STRIPWATCH_REDIS_TIMEOUT_SECONDS": f"{TIMEOUT_S:g}"}
        child = self.supervisor.start(ingest_spec("ingest", self.store.url, LINE, {**common, **live}))
        self.supervisor.leave_alone("ingest")
        return child

    def send(self, name: str, number: signal.Signals) -> None:
        if name == "redis":
            self.store.send(number)
        else:
            self.supervisor.children[name].send(number)

    @property
    def mes_seen(self) -> Path:
        return self.folder / "mes.seen"

    def log_text(self) -> str:
        self._log.flush()
        return (self.folder / "services.log").read_text(encoding="utf-8")

    def stop(self) -> None:
        for kinds in (("ingest", "mes"), ("preprocess", "aggregator", "classifier", "anomaly"), ("redis",)):
            names = [name for name in self.supervisor.children if name.partition("-")[0] in kinds]
            for name in names:  # what is stopped cannot hear SIGTERM
                self.supervisor.children[name].send(signal.SIGCONT)
            self.supervisor.stop(names, 5.0)
        self._stack.close()
        self._log.close()

    def _hear(self, name: str, line: str) -> None:
        if name == VOICE and (found := re.fullmatch(r"(\S+) (.*); starting it again in .* s", line)):
            self.ends.append(f"{found[1]} {found[2]}")
        if not self._log.closed:
            self._log.write(f"{time.time():.3f} {name:<13}| {line}\n")
            self._log.flush()

    def _spec(self, name: str) -> Spec:
        spec = self.plan.spec(name)
        if not name.startswith("preprocess"):
            return spec
        places = {
            f"STRIPWATCH_{role.upper()}_ADDRESS": f"ipv4:127.0.0.1:{self.proxies[role].port}"
            for role in ("classifier", "anomaly")
        }
        return replace(spec, env={**spec.env, **places})

    def _mes_spec(self) -> Spec:
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        command = (sys.executable, "-m", "chaos.mes", self.store.url, str(self.folder))
        return Spec("mes", command, {"PYTHONPATH": path})


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
