"""The compose file as it is, on a real engine: what an operator types, and what he sees."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import redis

from containers.wheels import ROOT

PIPELINE = ("redis", "classifier", "anomaly", "preprocess", "aggregator")
PATIENCE_S = 180.0
PROFILES = ("demo", "tools", "monitoring")


@dataclass(frozen=True, slots=True)
class Stack:
    """Commands go to the engine that the environment names (DOCKER_HOST), under a project of its own."""

    environment: Mapping[str, str]

    def run(self, *command: str, timeout_s: float = 600) -> str:
        """What the command says; a failure shows all of it."""
        env = {**os.environ, **self.environment}
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        assert done.returncode == 0, (
            f"{' '.join(command)}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
        return done.stdout.strip()

    def compose(self, *arguments: str) -> str:
        return self.run("docker-compose", *arguments)

    def docker(self, *arguments: str) -> str:
        return self.run("docker", *arguments)

    def up(self, *arguments: str) -> None:
        self.compose("up", "-d", *arguments)

    def scale(self, **replicas: int) -> None:
        """Starts or ends containers of what is running; nothing else is touched, or started anew."""
        wanted = [f"--scale={service}={count}" for service, count in replicas.items()]
        self.up("--no-recreate", *wanted, *replicas)
        self.until_healthy(*replicas)

    def remove(self) -> None:
        """Everything that was made, volumes too."""
        one_offs = self.docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").split()
        if one_offs:
            self.docker("rm", "-f", *one_offs)
        profiles = [part for name in PROFILES for part in ("--profile", name)]
        self.compose(*profiles, "down", "--volumes", "--remove-orphans")

    @property
    def project(self) -> str:
        return self.environment["COMPOSE_PROJECT_NAME"]

    def ids(self, service: str) -> list[str]:
        return self.compose("ps", "-q", service).split()

    def inspect(self, container: str) -> dict[str, Any]:
        return dict(json.loads(self.docker("inspect", container))[0])

    def addresses(self, service: str, port: int = 50051) -> list[str]:
        """HOST:PORT of every container of a service, on the network of the pipeline."""
        network = f"{self.project}_pipeline"
        found = [self.inspect(one)["NetworkSettings"]["Networks"][network]["IPAddress"] for one in self.ids(service)]
        return [f"{host}:{port}" for host in found if host]

    def health(self, service: str) -> list[str]:
        """A word for each of its containers."""
        return [self.inspect(one)["State"].get("Health", {}).get("Status", "none") for one in self.ids(service)]

    def until_healthy(self, *services: str) -> None:
        for service in services:
            until(lambda service=service: set(self.health(service)) == {"healthy"}, f"{service} is healthy")

    def crash(self, container: str) -> None:
        """Ends its main process as a fault would: the engine did not ask for it, so it starts the container again."""
        os.kill(self.inspect(container)["State"]["Pid"], signal.SIGKILL)

    def redis(self) -> redis.Redis:
        """As the operator, who may everything."""
        secret = self.compose("run", "--rm", "-T", "--no-deps", "redis-users", "cat", "/users/operator/password")
        host, _, port = self.addresses("redis", 6379)[0].partition(":")
        return redis.Redis(host, int(port), username="operator", password=secret, decode_responses=True)


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_S, every: float = 0.5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not after {seconds:g} s"
        time.sleep(every)
