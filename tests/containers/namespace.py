"""A network namespace with loopback only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PLACE = Path("/run/netns")
PREFIX = "stripwatch-"


@contextmanager
def namespace(purpose: str = "engine") -> Iterator[str]:
    """Its name under /run/netns: of this process, so that one left behind by a killed one is known by its number."""
    name = f"{PREFIX}{purpose}-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["nsenter", f"--net={PLACE / name}", "ip", "link", "set", "lo", "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def remove_abandoned() -> None:
    """Deletes namespaces whose process is gone."""
    for place in PLACE.glob(f"{PREFIX}*"):
        if not Path("/proc", place.name.rpartition("-")[2]).exists():
            subprocess.run(["ip", "netns", "delete", place.name], check=True)
