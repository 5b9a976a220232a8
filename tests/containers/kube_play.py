"""Each rendered Deployment as a pod of podman, under its security context: does it come up, and what may it do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from containers.namespace import namespace
from containers.podman import Podman
from containers.rendered import Rendered
from manifests import rendered

NETWORK = "stripwatch"
HEALTH = {"redis": ("redis-cli", "-e", "--no-auth-warning", "--user", "probe", "--pass", "any", "ping")}
SERVICE_HEALTH = ("python", "-m", "stripwatch.rpc.health", "127.0.0.1:50051")
START_S = 120.0
LIMITS = ("Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")
"""Lines of /proc/1/status: what the kernel holds the process to."""


@dataclass(frozen=True, slots=True)
class Played:
    """A pod that is healthy: what it took, and what its process is held to."""

    name: str
    address: str
    ready_s: float
    memory: str
    limits: dict[str, str]
    root_is_writable: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """Pods that play beside each other, in a network namespace of their own."""

    podman: Podman
    rendered: Rendered
    scratch: Path

    def play(self, name: str, hosts: dict[str, str]) -> Played:
        """Starts one workload and waits until its health command passes; RuntimeError with its log if it never does."""
        file = self.scratch / f"{name}.yaml"
        file.write_text(self.rendered.playable(name, hosts))
        began = time.monotonic()
        self.podman.run("kube", "play", f"--network={NETWORK}", str(file))
        container = self.container(name)
        while not self.healthy(name, container):
            if time.monotonic() > began + START_S:
                raise RuntimeError(f"{name} is not healthy after {START_S:g} s:\n{self.log(container)}")
            time.sleep(0.2)
        ready_s = time.monotonic() - began
        status = self.podman.run("exec", container, "cat", "/proc/1/status").splitlines()
        pairs = (line.partition(":") for line in status)
        return Played(
            name=name,
            address=self.address(container),
            ready_s=ready_s,
            memory=self.podman.run("stats", "--no-stream", "--format", "{{.MemUsage}}", container),
            limits={key: value.strip() for key, _, value in pairs if key in LIMITS},
            root_is_writable=self.succeeds("exec", container, "sh", "-c", "echo > /written"),
        )

    def container(self, name: str) -> str:
        """The one that is not the pod's own."""
        listed = json.loads(self.podman.run("ps", "--all", "--format=json", f"--filter=label=app={name}"))
        return next(str(one["Id"]) for one in listed if not one["IsInfra"])

    def address(self, container: str) -> str:
        infra = self.podman.run("inspect", "--format={{.HostConfig.NetworkMode}}", container).removeprefix("container:")
        networks = self.podman.run("inspect", "--format={{json .NetworkSettings.Networks}}", infra)
        return str(json.loads(networks)[NETWORK]["IPAddress"])

    def healthy(self, name: str, container: str) -> bool:
        return self.succeeds("exec", container, *HEALTH.get(name, SERVICE_HEALTH))

    def log(self, container: str) -> str:
        return self.podman.run("logs", "--tail=40", container, check=False)

    def succeeds(self, *arguments: str) -> bool:
        return self.podman.succeeds(*arguments)


@contextmanager
def stage(podman: Podman, scratch: Path) -> Iterator[Stage]:
    """An empty one; on leaving, its pods, volumes and network are gone."""
    folder = scratch / "kube"
    folder.mkdir(parents=True, exist_ok=True)
    with namespace("pods") as name:
        inside = Podman(podman.folder, name)
        if not inside.succeeds("network", "exists", NETWORK):
            inside.run("network", "create", NETWORK)
        try:
            yield Stage(inside, Rendered(rendered("dev")), folder)
        finally:
            inside.run("pod", "rm", "--all", "--force", "--time=5", check=False)
            inside.run("volume", "rm", "--all", "--force", check=False)
            inside.run("secret", "rm", "--all", check=False)
            inside.run("network", "rm", "--force", NETWORK, check=False)


def play_all(podman: Podman, scratch: Path) -> list[Played]:
    """All of them, each beside those that it asks."""
    played: list[Played] = []
    with stage(podman, scratch) as on:
        for name in on.rendered.workloads():
            played.append(on.play(name, {one.name: one.address for one in played}))
    return played
