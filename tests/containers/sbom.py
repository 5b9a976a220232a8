"""Bills of material (CycloneDX) of the built images: packages of Python, Python itself, Debian's packages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from containers import build
from containers.podman import Podman
from containers.wheels import IMAGES

TOOL = "cyclonedx-bom==7.5.0"
PLACE = "lib/python3.11/site-packages"
# Beside the image's packages and not among them: what is appended to the path here is not on that of the interpreter
# that it asks.
LIST = f"""
import sys
sys.path.append('/mnt/{PLACE}')
sys.argv = ['cyclonedx-py', 'environment', '--output-reproducible', '--of=JSON', '/opt/stripwatch/bin/python']
from cyclonedx_py._internal.cli import run
raise SystemExit(run())
"""
VERSION = "import platform; print(platform.python_version())"
DEBIAN = "${Package} ${Version} ${Architecture}\\n"


def write(podman: Podman, scratch: Path, out: Path) -> list[Path]:
    """One file an image; the tool is in a virtual environment of its own, mounted for the moment."""
    tool = scratch / "cyclonedx"
    if not (tool / PLACE / "cyclonedx_py").exists():
        subprocess.run([sys.executable, "-m", "venv", tool], check=True)
        pip = [tool / "bin/pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, TOOL], check=True)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for target in IMAGES:
        file = out / f"stripwatch-{target}.cdx.json"
        file.write_text(json.dumps(bill(podman, tool, target), indent=1, sort_keys=True) + "\n")
        written.append(file)
    return written


def bill(podman: Podman, tool: Path, target: str) -> dict[str, Any]:
    run = ("run", "--rm", "--network=none", "--no-healthcheck", f"--volume={tool}:/mnt:ro")
    made: dict[str, Any] = json.loads(podman.run(*run, "--entrypoint=python", build.image(target), "-c", LIST))
    listed = podman.run(*run, "--entrypoint=dpkg-query", build.image(target), "--show", f"--showformat={DEBIAN}")
    python = podman.run(*run, "--entrypoint=python", build.image(target), "-c", VERSION)
    made["components"].append({"type": "platform", "name": "cpython", "version": python, "bom-ref": "cpython"})
    made["components"] += [_debian(*line.split()) for line in listed.splitlines()]
    described = {"type": "container", "name": f"stripwatch-{target}", "version": build.version()}
    made["metadata"]["component"] = described
    return made


def _debian(name: str, version: str, architecture: str) -> dict[str, str]:
    purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}&distro=bookworm"
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}
