"""What the run measures, kept as it goes, printed and written at its end."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conditions import conditions, write

from containers.stack import PATIENCE_S, Stack
from stripwatch.rpc import health

MIB = {"B": 2**-20, "KiB": 2**-10, "MiB": 1.0, "GiB": 1024.0}
SAMPLE_EVERY_S = 1.0


class Figures:
    """Sections by name, each a mapping of figures; they go to the results file of the suite."""

    def __init__(self, suite: str = "containers") -> None:
        self._suite = suite
        self._found: dict[str, dict[str, Any]] = {}

    def note(self, section: str, **figures: Any) -> None:
        self._found.setdefault(section, {}).update(figures)

    def write(self, place: Path | None = None) -> str:
        """The figures as text, once they are in their file."""
        redis = str(self._found.get("versions", {}).get("redis", "unknown"))
        path = write(self._suite, {**conditions(f"make e2e-{self._suite}", redis), **self._found}, place)
        return f"{json.dumps(self._found, indent=2)}\nwritten to {path}"


def memory_mib(stack: Stack) -> dict[str, float]:
    """What each container holds, without the page cache that it could give back, the largest of each service."""
    found: dict[str, float] = {}
    for line in stack.docker("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}").splitlines():
        name, used = line.split()[:2]
        service = re.sub(rf"^{stack.project}[_-]|[_-]\d+$|[_-][0-9a-f]{{12}}$", "", name)
        number, unit = re.fullmatch(r"([\d.]+)(\w+)", used).groups()  # type: ignore[union-attr]
        found[service] = max(found.get(service, 0.0), round(float(number) * MIB[unit], 1))
    return found


@contextmanager
def most_memory_mib(stack: Stack) -> Iterator[dict[str, float]]:
    """The most that each service's containers held while the block ran."""
    most: dict[str, float] = {}
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_EVERY_S):
            for service, used in memory_mib(stack).items():
                most[service] = max(most.get(service, 0.0), used)

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield most
    finally:
        over.set()
        sampler.join()


def seconds_to_ready(stack: Stack, service: str) -> float:
    """A container of the service started anew: from the engine's word until its health says SERVING."""
    (container,) = stack.ids(service)
    stack.docker("stop", container)
    began = time.monotonic()
    stack.docker("start", container)
    (address,) = stack.addresses(service)
    while health.status(address, 0.5) != health.SERVING:
        assert time.monotonic() - began < PATIENCE_S, f"{service} does not get ready"
    return round(time.monotonic() - began, 2)


def image_mib(stack: Stack, images: Mapping[str, str]) -> dict[str, float]:
    """Unpacked, by service."""
    sizes = {name: int(stack.docker("image", "inspect", "-f", "{{.Size}}", image)) for name, image in images.items()}
    return {name: round(size / 2**20, 1) for name, size in sizes.items()}
