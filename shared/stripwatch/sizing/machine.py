"""The machine that something was measured on, in words."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from stripwatch.runtime import cores

_CPUS = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """Its processor, the cores that we may use, and its memory."""

    processor: str
    cores: int
    memory_gib: float

    def __str__(self) -> str:
        return f"{self.cores} {'core' if self.cores == 1 else 'cores'} of {self.processor}, {self.memory_gib:g} GiB"


def this_machine() -> Machine:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Machine(_processor(), cores.available(), round(memory, 1))


def _processor() -> str:
    """By the kernel's word; the architecture alone where it has none."""
    try:
        lines = _CPUS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
