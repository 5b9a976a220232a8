"""Builds every target of deploy/Dockerfile with podman and no network: wheels and .deb files are mounted, not copied.

What says where to install from (pip.conf, sources.list) is mounted too, so that none of it is in an image.
"""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

from containers import base_image, packages, wheels
from containers.podman import Podman
from containers.wheels import IMAGES, ROOT


def build(podman: Podman, scratch: Path, models: str = "default") -> dict[str, str]:
    """Image names by target; the machine's pip and apt have fetched what they need."""
    base_image.ensure(podman, scratch)
    mounts = offline(scratch)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    arguments = {"MODELS": models, "VERSION": project["version"], "REVISION": revision()}
    given = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    for service in IMAGES:
        # The Docker format, because only it has health checks.
        options = ["--format=docker", "--pull=never", "--layers", "--network=none", *mounts, *given]
        place = ["--target", service, "--tag", image(service), "--file", str(ROOT / "deploy/Dockerfile"), str(ROOT)]
        podman.run("build", *options, *place)
    return {service: image(service) for service in IMAGES}


def image(service: str) -> str:
    """The name that docker-compose.yml and k8s/ use, with the registry that both engines read into it."""
    return f"docker.io/library/stripwatch-{service}:latest"


def offline(scratch: Path) -> list[str]:
    """Mounts that let `pip install` and `apt-get install` work in a build without a network."""
    found = wheels.fetch(scratch / "wheels")
    debs = packages.archive(scratch / "debs", "tini", "redis-tools", "prometheus")
    files = {
        "/etc/pip.conf": wheels.PIP_CONF,
        "/etc/apt/sources.list": "deb [trusted=yes] file:/debs ./\n",
    }
    mounts = [f"--volume={found}:/wheels:ro", f"--volume={debs}:/debs:ro"]
    for place, text in files.items():
        file = scratch / Path(place).name
        file.write_text(text)
        mounts.append(f"--volume={file}:{place}:ro")
    return mounts


def revision() -> str:
    """The commit, marked where the tree differs from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
