"""A stand-in for `python:3.11-slim-bookworm`: Debian's smallest bookworm with this machine's CPython under /usr/local.

Laid out as the real one: `python` and `pip` in /usr/local/bin, no tests and no compiled files in the library. It is the
interpreter that fetches the wheels, so both choose the same ones. Not as the real one: the patch release of Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from containers.podman import Podman

NAME = "docker.io/library/python:3.11-slim-bookworm"
MERGED = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"  # or all of Perl comes to merge it
PACKAGES = (
    *("usr-is-merged", "ca-certificates", "netbase", "tzdata"),
    *("libbz2-1.0", "libexpat1", "libffi8", "libgdbm6", "liblzma5", "libncursesw6", "libnsl2", "libreadline8"),
    *("libsqlite3-0", "libssl3", "libuuid1", "zlib1g"),
)
LEFT_OUT = ("doc", "man", "info", "locale", "lintian")
"""Of /usr/share, as the slim images leave it out."""
NO_LIBRARY = shutil.ignore_patterns("site-packages", "test", "tests", "idle_test", "config-*", "__pycache__", "*.a")
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def make(folder: Path) -> Path:
    """The root file system as a tar; made once in a folder."""
    tar = folder / "base.tar"
    if tar.exists():
        return tar
    python = interpreter(folder / "cpython")
    new = folder / "base.new.tar"
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", MERGED, f"--include={','.join(PACKAGES)}"]
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    command += [f'--customize-hook=cp -a {python}/. "$1/usr/local/"', '--customize-hook=chroot "$1" ldconfig']
    command += ['--customize-hook=chroot "$1" python -m ensurepip --default-pip']
    command += ['--customize-hook=find "$1/usr/local" -name __pycache__ -exec rm -r {} +', "bookworm", str(new)]
    subprocess.run(command, check=True, env=os.environ | {"TMPDIR": str(folder)})
    return new.rename(tar)


def interpreter(folder: Path) -> Path:
    """The running CPython without its packages and tests, as a folder for /usr/local."""
    prefix = Path(sys.base_prefix)
    if prefix == Path("/usr") or sys.version_info[:2] != (3, 11):
        found = f"{sys.version.split()[0]} of {prefix}"
        raise SystemExit(f"expected a CPython 3.11 with a prefix of its own to copy (pyenv, /usr/local), got {found}")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(prefix / "lib", folder / "lib", symlinks=True, ignore=NO_LIBRARY)
    (folder / "lib/python3.11/site-packages").mkdir()
    (folder / "bin").mkdir()
    shutil.copy2(prefix / "bin/python3.11", folder / "bin/python3.11")
    for shared in (folder / "lib").rglob("*.so*"):  # without symbols, as the real one's
        if not shared.is_symlink():
            subprocess.run(["strip", "--strip-unneeded", shared], check=True)
    for name in ("python3", "python"):
        (folder / "bin" / name).symlink_to("python3.11")
    return folder


def ensure(podman: Podman, folder: Path) -> str:
    """The image under the real one's name, in this podman's storage."""
    if not podman.has(NAME):
        changes = ["CMD python3", *(f"ENV {name}={value}" for name, value in ENVIRONMENT.items())]
        podman.run("import", *(part for change in changes for part in ("--change", change)), str(make(folder)), NAME)
    return NAME
