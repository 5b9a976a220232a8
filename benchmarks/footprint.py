"""How much memory processes hold. PSS counts a page that several share once, in equal parts; RSS for each of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import psutil
from conditions import ROOT
from line_frames import draw
from readying import SIMULATOR, ready_until_left, slow_ingest

from stripwatch.errors import StripwatchError
from stripwatch.local import Pipeline

MIB = 2**20
SAMPLE_EVERY_S = 0.2


def at_rest(pipeline: Pipeline, rest_s: float, folder: Path) -> dict[str, dict[str, float]]:
    """MiB of each process after all were ready for a while; of all with an ingest of images, as one feeds the line."""
    for number, picture in enumerate(draw(width_px=800, pictures=3)):
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    found: dict[str, dict[str, float]] = {}
    for place in (None, folder):
        with ExitStack() as stack:
            ingest = ready_until_left(stack, slow_ingest(pipeline, place))
            time.sleep(rest_s)
            children = [*pipeline.supervisor.children.values(), ingest]
            found |= {child.spec.name.removesuffix("-1"): _memory(psutil.Process(child.pid)) for child in children}
    return {**found, "all": _sum({name: one for name, one in found.items() if name != SIMULATOR})}


def _memory(process: psutil.Process) -> dict[str, float]:
    memory = process.memory_full_info()
    return {"pss_mib": round(memory.pss / MIB, 1), "rss_mib": round(memory.rss / MIB, 1)}


def _sum(found: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {name: round(sum(one[name] for one in found.values()), 1) for name in ("pss_mib", "rss_mib")}


def demo(engine: str, folder: Path) -> dict[str, Any]:
    """The most memory of `stripwatch demo` and all its processes together, while it runs to its end."""
    command = [sys.executable, "-m", "stripwatch.cli", "demo"]
    env = {**os.environ, "STRIPWATCH_ENGINE": engine, "STRIPWATCH_MODELS": str(ROOT / "models")}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "page").open("wb") as page:
        shown = subprocess.Popen(command, env=env, cwd=folder, stdout=page, stderr=page)
        most: dict[str, dict[str, float]] = {}
        samples = 0
        while shown.poll() is None:
            found = _tree(psutil.Process(shown.pid))
            if found and (not most or _sum(found)["pss_mib"] > _sum(most)["pss_mib"]):
                most = found
            samples += 1
            time.sleep(SAMPLE_EVERY_S)
    if shown.returncode:
        raise StripwatchError(f"the demo ended with {shown.returncode}: {(folder / 'page').read_text()[-500:]}")
    return {"most": _sum(most), "by_process": most, "samples": samples}


def _tree(root: psutil.Process) -> dict[str, dict[str, float]]:
    """Memory by process; those that end while we look are left out."""
    found = {}
    for process in (root, *root.children(recursive=True)):
        try:
            found[_name(process.cmdline())] = _memory(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def _name(command: Sequence[str]) -> str:
    """A service by its module, the server by its program, the demo by itself."""
    modules = [part for part in command if part.startswith("stripwatch_")]
    if modules:
        return modules[0].removeprefix("stripwatch_")
    return "redis" if command and "redis-server" in command[0] else "command line"
