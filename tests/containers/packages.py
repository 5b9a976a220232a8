"""Debian packages of the test bed, and the archive of .deb files that image builds without a network install from."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "podman": "podman",
    "runc": "runc",
    "fuse-overlayfs": "fuse-overlayfs",
    "newuidmap": "uidmap",
    "catatonit": "catatonit",
    "iptables": "iptables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "dockerd": "docker.io",
    "docker-compose": "docker-compose",
    "openssl": "openssl",
    "kubectl": "kubernetes-client",
    "strip": "binutils",
}
"""What must be on PATH, and the package that has it."""

FILES = {"/usr/lib/podman/netavark": "netavark", "/usr/lib/podman/aardvark-dns": "aardvark-dns"}

POLICY = Path("/usr/sbin/policy-rc.d")
NO_SERVICE = "#!/bin/sh\nexit 101\n"


def missing() -> list[str]:
    """Packages that this machine lacks."""
    programs = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    return programs + [package for path, package in FILES.items() if not Path(path).exists()]


def install(more: Iterable[str] = ()) -> None:
    """Installs what is missing; no service of it is started, as dockerd would change the machine's network."""
    wanted = [*missing(), *more]
    if not wanted:
        return
    forbid = not POLICY.exists()
    if forbid:
        POLICY.write_text(NO_SERVICE)
        POLICY.chmod(0o755)
    try:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted]
        subprocess.run(command, check=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
    finally:
        if forbid:
            POLICY.unlink()


def archive(folder: Path, *packages: str) -> Path:
    """A folder of these packages and all they need, with the index that `deb file:` reads."""
    index = folder / "Packages"
    if index.exists():
        return folder
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    nothing = folder / "status"  # as if nothing were installed: all that they need is fetched
    nothing.touch()
    options = [
        "-o",
        f"Dir::State::status={nothing}",
        "-o",
        f"Dir::Cache::archives={folder}",
        "-o",
        "APT::Sandbox::User=root",
    ]
    command = ["apt-get", "install", "-y", "-qq", "--download-only", "--no-install-recommends", *options, *packages]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    index.write_text("\n".join(_entry(deb) for deb in sorted(folder.glob("*.deb"))))
    return folder


def _entry(deb: Path) -> str:
    control = subprocess.run(["dpkg-deb", "-f", deb], capture_output=True, text=True, check=True).stdout
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    return f"{control}Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n"
