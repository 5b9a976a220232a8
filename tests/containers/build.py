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

DEBS = ("tini", "binutils", "redis-tools", "prometheus")


def build(podman: Podman, scratch: Path, models: str = "default", targets: tuple[str, ...] = IMAGES) -> list[str]:
    """Names of the images; the machine's pip and apt have fetched what they need."""
    base_image.ensure(podman, scratch)
    options = [*offline(scratch), f"--build-arg=MODELS={models}", f"--build-arg=VERSION={version()}"]
    options += [f"--build-arg=REVISION={revision()}", f"--file={ROOT / 'deploy/Dockerfile'}"]
    for target in targets:
        tags = [f"--tag={image(target, tag)}" for tag in ("latest", version())]
        podman.run("build", *options, *tags, "--target", target, str(ROOT))
    return [image(target) for target in targets]


def image(target: str, tag: str = "latest") -> str:
    """What docker-compose.yml and k8s/ call it, with the registry that engines read into a short name."""
    return f"docker.io/library/stripwatch-{target}:{tag}"


def offline(scratch: Path) -> list[str]:
    """Options for builds whose `pip install` and `apt-get install` need no network."""
    files = {"/etc/pip.conf": wheels.PIP_CONF, "/etc/apt/sources.list": "deb [trusted=yes] file:/media ./\n"}
    for place, text in files.items():
        (scratch / Path(place).name).write_text(text)
    # Over folders that every base has: a place made for a mount stays in the image.
    mounts = {"/mnt": wheels.fetch(scratch / "wheels"), "/media": packages.archive(scratch / "debs", *DEBS)}
    mounts |= {place: scratch / Path(place).name for place in files}
    volumes = [f"--volume={source}:{place}:ro" for place, source in mounts.items()]
    # The Docker format, because only it has health checks.
    return ["--format=docker", "--pull=never", "--layers", "--network=none", *volumes]


def version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def revision() -> str:
    """The commit, marked where the tree differs from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
