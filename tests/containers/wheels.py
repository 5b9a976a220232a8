"""The locked wheels that image builds without a network install from, fetched by this machine's pip beforehand."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICES = ("ingest", "preprocess", "classifier", "anomaly", "aggregator")
EXTRAS = (*SERVICES, "cli", "tracing")
IMAGES = (*SERVICES, "cli")
PIP_CONF = "[global]\nno-index = true\nfind-links = /mnt\ndisable-pip-version-check = true\n"


def requirements() -> list[str]:
    """All that any image needs by pyproject.toml, and what builds our own wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    for name in (*IMAGES, "tracing"):
        wanted += extras[name]
    return sorted({one for one in wanted if not one.startswith("stripwatch")})


def fetch(folder: Path) -> Path:
    """A folder of wheels; filled again when the requirements or their locked versions changed."""
    locked = ROOT / "constraints.txt"
    state = hashlib.sha256("\n".join([*requirements(), locked.read_text()]).encode()).hexdigest()
    stamp = folder / "requirements.sha256"
    if stamp.exists() and stamp.read_text() == state:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "-w", str(folder)]
    subprocess.run([*command, "-c", str(locked), *requirements()], check=True)
    stamp.write_text(state)
    return folder
