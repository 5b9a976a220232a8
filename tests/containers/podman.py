"""Podman with storage, configuration and network of its own: what it does leaves the machine's as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

# crun fails where the kernel has cgroups of version 1; ulimits as high as a container engine's own.
CONTAINERS = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{folder}/tmp"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""

STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""

POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'


@dataclass(frozen=True, slots=True)
class Podman:
    """Podman over one folder; `namespace` is the network namespace (a name under /run/netns) that it runs in."""

    folder: Path
    namespace: str | None = None

    def run(self, *arguments: str, check: bool = True, timeout_s: float = 1800) -> str:
        """What it says on its standard output; a failure says its last lines."""
        command = self.command(*arguments)
        done = subprocess.run(command, env=self.environment(), capture_output=True, timeout=timeout_s, check=False)
        if check and done.returncode != 0:
            said = (done.stdout[-4000:] + done.stderr[-4000:]).decode(errors="replace")
            raise RuntimeError(f"podman {arguments[0]} ended with {done.returncode}:\n{said}")
        return done.stdout.decode(errors="replace").strip()

    def command(self, *arguments: str) -> list[str]:
        entered = ["nsenter", f"--net=/run/netns/{self.namespace}"] if self.namespace else []
        return [*entered, "podman", *arguments]

    def environment(self) -> dict[str, str]:
        """The configuration, written where it is not there yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files = {"containers.conf": CONTAINERS, "storage.conf": STORAGE}
        for name, text in files.items():
            (self.folder / name).write_text(text.format(folder=self.folder))
        return os.environ | {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "TMPDIR": str(self.folder),
        }

    def succeeds(self, *arguments: str) -> bool:
        command = self.command(*arguments)
        return subprocess.run(command, env=self.environment(), capture_output=True, check=False).returncode == 0

    def has(self, image: str) -> bool:
        return self.succeeds("image", "exists", image)

    def clean(self) -> None:
        """Every container, pod and network ended; images and mounts gone, the folder too."""
        if not self.folder.exists():
            return
        self.run("pod", "rm", "--all", "--force", "--time", "0", check=False)
        self.run("rm", "--all", "--force", "--time", "0", check=False)
        self.run("umount", "--all", "--force", check=False)
        unmount(self.folder)
        shutil.rmtree(self.folder)


def unmount(folder: Path) -> None:
    """Undoes what is still mounted below a folder, the innermost first."""
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in sorted((one for one in places if Path(one).is_relative_to(folder)), reverse=True):
        subprocess.run(["umount", "--lazy", place], check=False)
