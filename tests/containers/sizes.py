"""What the images weigh, and what in them weighs it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from containers import base_image, build
from containers.podman import Podman
from containers.wheels import IMAGES

# Runs inside the image: bytes of each distribution, compiled files and vendored libraries with it.
WEIGH = """
import importlib.metadata as metadata, json
found = {}
for one in metadata.distributions(path=['/opt/stripwatch/lib/python3.11/site-packages']):
    files = [file.locate() for file in one.files or ()]
    found[one.name] = sum(file.stat().st_size for file in files if file.is_file())
print(json.dumps(found))
"""
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes of one image: unpacked, and as its layers go over a network; and of what is installed in it."""

    image: str
    unpacked: int
    packed: int
    parts: dict[str, int]

    def line(self, most: int = 8) -> str:
        """A row of the table of docs/images.md, in MB."""
        heaviest = sorted(self.parts.items(), key=lambda part: -part[1])[:most]
        said = ", ".join(f"{name} {size / MB:.1f}" for name, size in heaviest if size >= MB / 2)
        return f"| {self.image} | {self.unpacked / MB:.0f} | {self.packed / MB:.0f} | {said} |"


def weigh(podman: Podman, scratch: Path, image: str) -> Weight:
    short = image.removeprefix("docker.io/library/").removesuffix(":latest")
    unpacked = int(podman.run("image", "inspect", "--format={{.Size}}", image))
    run = ("run", "--rm", "--network=none", "--no-healthcheck", "--entrypoint=python", image, "-c", WEIGH)
    parts = {} if image == base_image.NAME else json.loads(podman.run(*run))
    with TemporaryDirectory(dir=scratch) as folder:  # what a registry would hold
        podman.run("push", "--compress", image, f"dir:{folder}")
        packed = sum(file.stat().st_size for file in Path(folder).iterdir())
    return Weight(short, unpacked, packed, parts)


def table(podman: Podman, scratch: Path) -> str:
    """All images and their base, as the table of docs/images.md."""
    images = [base_image.NAME, *(build.image(target) for target in IMAGES)]
    rows = [weigh(podman, scratch, image).line() for image in images]
    return "\n".join(["| image | unpacked, MB | packed, MB | heaviest parts, MB |", "|---|---|---|---|", *rows])
