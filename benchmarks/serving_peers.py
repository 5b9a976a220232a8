"""The servers that we are compared with: a folder each in benchmarks/peers, a virtual environment each in var/peers.

A folder holds the server's own file, `requirements.txt`, and `peer.toml`: the package whose version counts, the wire
(another for one tile a request, if its batching takes another), the command and the environment. In the latter two
{here}, {port}, {second_port}, {third_port}, {workers} and {batch} (most requests in one run of an engine) stand for
what is known at the start.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conditions import ROOT

from stripwatch.errors import StripwatchError
from stripwatch.local.child import Spec
from stripwatch.local.ports import free_ports

PEERS = ROOT / "benchmarks" / "peers"
ENVIRONMENTS = ROOT / "var" / "peers"
WAIT_MS = 5
"""How long a peer may wait for company before it runs a partial batch, where it can be told."""
_STAMP = "installed.txt"
_INSTALL_S = 900


@dataclass(frozen=True, slots=True)
class Peer:
    """One server: what `peer.toml` says, its folder, and its virtual environment."""

    folder: Path
    environment: Path
    package: str
    wire: str
    command: tuple[str, ...]
    settings: str
    path: str = ""
    one_tile_wire: str = ""
    one_tile_path: str = ""
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def requirements(self) -> str:
        return (self.folder / "requirements.txt").read_text(encoding="utf-8")

    @property
    def version(self) -> str:
        """As pinned."""
        pin = re.search(rf"^{re.escape(self.package)}(?:\[[^]]*\])?==(\S+)$", self.requirements, re.MULTILINE)
        return pin[1] if pin else "not pinned"

    def way(self, a_request: int) -> tuple[str, str]:
        """Wire and path for requests of so many tiles."""
        own = a_request == 1 and self.one_tile_wire
        return (self.one_tile_wire, self.one_tile_path) if own else (self.wire, self.path)

    def install(self) -> None:
        """Makes its virtual environment, unless it is there with these requirements. StripwatchError says why not."""
        stamp = self.environment / _STAMP
        if stamp.exists() and stamp.read_text(encoding="utf-8") == self.requirements:
            return
        python = self.environment / "bin" / "python"
        wanted = str(self.folder / "requirements.txt")
        _run(sys.executable, "-m", "venv", "--clear", str(self.environment))
        _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted)
        stamp.write_text(self.requirements, encoding="utf-8")

    def spec(self, model: Path, workers: int, batch: int) -> tuple[Spec, int]:
        """How to run it, and the port it will listen on."""
        ports = free_ports(3)
        known = {
            "here": str(self.folder),
            "port": str(ports[0]),
            "second_port": str(ports[1]),
            "third_port": str(ports[2]),
            "workers": str(workers),
            "batch": str(batch),
        }
        binaries = self.environment / "bin"
        program, *rest = (part.format(**known) for part in self.command)
        env = {
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(PEERS),
            "PEER_MODEL": str(model),
            "PEER_PORT": str(ports[0]),
            "PEER_WORKERS": str(workers),
            "PEER_BATCH": str(batch),
            "PEER_WAIT_MS": str(WAIT_MS),
            "ORT_DISABLE_TELEMETRY": "1",
            **{name: value.format(**known) for name, value in self.env.items()},
        }
        return Spec(self.name, (str(binaries / program), *rest), env), ports[0]


def read_peers(folder: Path = PEERS, environments: Path = ENVIRONMENTS) -> list[Peer]:
    """All of them, by name."""
    found = []
    for path in sorted(folder.glob("*/peer.toml")):
        given = tomllib.loads(path.read_text(encoding="utf-8"))
        given["command"] = tuple(given["command"])
        found.append(Peer(path.parent, environments / path.parent.name, **given))
    return found


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_S)
    except subprocess.TimeoutExpired as error:
        raise StripwatchError(f"{Path(command[0]).name} was not through after {_INSTALL_S} s") from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()] or ["nothing"]
        words = next((line for line in said if line.startswith("ERROR")), said[-1])
        raise StripwatchError(f"it could not be installed: {words}")
