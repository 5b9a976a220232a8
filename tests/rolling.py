"""A pipeline of real processes whose services are replaced one by one, as a rolling update in a cluster does it."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis_servers import free_port, wait_for

from name_server import NameServer, name_server
from stripwatch.ports import Event, LineStream
from stripwatch.rpc.health import SERVING, status
from stripwatch.stream import connect

LONG_S = 180.0
SERVICES = ("aggregator", "classifier", "anomaly", "preprocess")
"""In the order of an update; the sources are on their own."""
QUICK = {
    "CONNECTION_AGE_SECONDS": "1",
    "SHUTDOWN_DELAY_SECONDS": "0.5",
    "ENGINE_WORKERS": "1",
    "PREFETCH": "8",
    "RESCAN_SECONDS": "0.5",
}


@dataclass(frozen=True)
class Replica:
    """One process of a service, on an address of its own on loopback."""

    service: str
    host: str
    process: subprocess.Popen[bytes]


class Rolling:
    """One line. Model services are found by name; `code` of an instance is the tree that it runs from."""

    def __init__(self, url: str, models: Path, names: NameServer, log: Path, stack: ExitStack) -> None:
        self.url = url
        self.running: dict[str, Replica] = {}
        self.line: LineStream = connect(url).line("line1")
        self._models = models
        self._names = names
        self._log = log
        self._stack = stack
        self._port = free_port()
        self._hosts = (f"127.0.1.{number}" for number in itertools.count(1))

    def replace(self, service: str, code: Path | None = None) -> None:
        """Starts a new one, waits until it is ready, then lets the old one finish, if there is one."""
        new, old = self._start(service, next(self._hosts), code), self.running.get(service)
        wait_for(lambda: status(f"{new.host}:{self._port}", 1.0) == SERVING, f"a new {service}", LONG_S)
        self.running[service] = new
        self._names.names[f"{service}.test"] = [new.host]
        if old:
            old.process.send_signal(signal.SIGTERM)
            assert old.process.wait(LONG_S) == 0, self.said()

    def source(self, code: Path | None = None, **settings: str) -> Replica:
        """An ingest of simulated strips, 20 frames a second; without end unless its strips are counted."""
        given = {"LINE": "line1", "LENGTH_MM": "900", "WIDTH_MM": "100", "FRAME_HEIGHT": "100", "SIM_STRIPS": "0"}
        given |= {"SPEED_M_PER_S": "1", "SIM_DEFECTS": "0,1,2"}
        return self._start("ingest", next(self._hosts), code, **given | settings)

    def events(self) -> list[Event]:
        """All verdicts."""
        return [one.event for one in self.line.verdicts.page("", 10_000)]

    def goes_on(self) -> None:
        """Waits for verdicts on strips that begin from now on."""
        enough = len(self.events()) + 2
        try:
            wait_for(lambda: len(self.events()) >= enough, "verdicts", LONG_S)
        except TimeoutError as error:
            ended = {name: one.process.poll() for name, one in self.running.items()}
            raise TimeoutError(f"{error}; ended: {ended}; said last: {self.said()[-2000:]}") from error

    def said(self) -> str:
        """What all of them logged."""
        return self._log.read_text()

    def _start(self, service: str, host: str, code: Path | None, **settings: str) -> Replica:
        env = {name: value for name, value in os.environ.items() if not name.startswith("STRIPWATCH_")}
        given = QUICK | {"REDIS_URL": self.url, "MODELS": str(self._models), "PLAINTEXT": "allowed"}
        given |= {"HEALTH_HOST": host, "HEALTH_PORT": str(self._port), "LINES": "line1"}
        given |= {f"{kind}_ADDRESS".upper(): self._names.target(f"{kind}.test", self._port) for kind in SERVICES}
        env |= {f"STRIPWATCH_{name}": value for name, value in (given | settings).items()}
        if code:
            env["PYTHONPATH"] = f"{code}/shared:{code}/services"
        with self._log.open("ab") as log:
            process = subprocess.Popen([sys.executable, "-m", f"stripwatch_{service}"], env=env, stdout=log, stderr=log)
        self._stack.callback(_end, process)
        return Replica(service, host, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@contextmanager
def rolling(url: str, models: Path, folder: Path, code: Path | None = None) -> Iterator[Rolling]:
    """With one of each service, ready, from the given tree."""
    with name_server({}) as names, ExitStack() as stack:
        found = Rolling(url, models, names, folder / "services.log", stack)
        for service in SERVICES:
            found.replace(service, code)
        yield found
