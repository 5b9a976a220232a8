"""A Docker engine in a network namespace of its own, so that the machine's interfaces and iptables stay as they are.

Its socket, images, state and process files lie in one folder; all of it is gone when the block is left.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from containers.namespace import namespace
from containers.podman import Podman, unmount
from containers.wheels import ROOT

LEASH = ROOT / "shared/stripwatch/local/leash.py"
CLIENT = "/usr/bin/docker"
"""The engine's own client: another one on PATH may speak only to newer engines."""
START_S = 60.0
STOP_S = 120.0


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine: where its socket is, and the network namespace that its containers are in."""

    folder: Path
    namespace: str

    @property
    def socket(self) -> Path:
        return self.folder / "docker.sock"

    def environment(self) -> dict[str, str]:
        """For docker, docker-compose and clients in Python; without what the machine says of engines."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "COMPOSE_"))}
        return inherited | {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": str(self.folder)}

    def docker(self, *arguments: str, check: bool = True, timeout_s: float = 600) -> str:
        """What docker says on its standard output; a failure says why."""
        command = [CLIENT, *arguments]
        env = self.environment()
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout_s, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"docker {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
        return done.stdout.strip()

    def inside(self, *command: str) -> list[str]:
        """The command, run where the containers' published ports on loopback are."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *command]

    def load(self, podman: Podman, *images: str) -> None:
        """Copies images out of podman's storage, under their short names."""
        save = podman.command("save", "--multi-image-archive", *images)
        with subprocess.Popen(save, env=podman.environment(), stdout=subprocess.PIPE) as saving:
            subprocess.run([CLIENT, "load", "--quiet"], env=self.environment(), stdin=saving.stdout, check=True)
        if saving.returncode != 0:
            raise RuntimeError(f"podman save {' '.join(images)} ended with {saving.returncode}")


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """Starts dockerd; on leaving it ends, with every container, mount and file of it. It ends with us, too."""
    if folder.exists():
        remove(folder)
    folder.mkdir(parents=True)
    (folder / "daemon.json").write_text(json.dumps({"storage-driver": "overlay2", "log-level": "warn"}))
    with namespace() as name, (folder / "dockerd.log").open("wb") as log:
        found = Engine(folder, name)
        options = {"data-root": "data", "exec-root": "exec", "pidfile": "dockerd.pid", "config-file": "daemon.json"}
        command = [
            "dockerd",
            f"--host=unix://{found.socket}",
            *(f"--{key}={folder / at}" for key, at in options.items()),
        ]
        leashed = [sys.executable, str(LEASH), str(os.getpid()), *found.inside(*command)]
        process = subprocess.Popen(leashed, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            _wait(found, process)
            yield found
        finally:
            _stop(found, process)
    remove(folder)


def remove(folder: Path) -> None:
    """Undoes the mounts of an engine that is gone, and its folder."""
    unmount(folder)
    shutil.rmtree(folder)


def _wait(found: Engine, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while (
        subprocess.run([CLIENT, "version"], env=found.environment(), capture_output=True, check=False).returncode != 0
    ):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"dockerd did not start:\n{(found.folder / 'dockerd.log').read_text()[-4000:]}")
        time.sleep(0.2)


def _stop(found: Engine, process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None and found.socket.exists():
        containers = found.docker("ps", "--all", "--quiet", check=False).split()
        if containers:
            found.docker("rm", "--force", "--volumes", *containers, check=False)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
