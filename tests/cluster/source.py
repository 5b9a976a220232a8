"""Kubernetes 1.20 out of Debian's source package: fetched and built once in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

PACKAGES = {
    "/usr/bin/go": "golang-go",
    "/usr/bin/rsync": "rsync",
    "/usr/bin/make": "make",
    "/usr/bin/etcd": "etcd-server",
    "/usr/bin/containerd": "containerd",
    "/usr/sbin/dnsmasq": "dnsmasq-base",
    "/usr/bin/dpkg-source": "dpkg-dev",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/share/gocode/src/github.com/modern-go/reflect2": "golang-github-modern-go-reflect2-dev",
}
"""By a file of each, beside what the containers' test bed installs."""

PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
SOURCES = """Types: deb-src
URIs: http://deb.debian.org/debian
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
REFLECT = "github.com/modern-go/reflect2"


def missing() -> list[str]:
    return [package for path, package in PACKAGES.items() if not Path(path).exists()]


def build(folder: Path) -> Path:
    """The folder of the programs, built where they are not there yet: about 12 minutes on two cores."""
    tree = folder / "source"
    built = tree / "_output/local/bin/linux/amd64"
    if all((built / name).exists() for name in PROGRAMS):
        return built
    if not (tree / "Makefile").exists():
        _fetch(folder, tree)
    (tree / ".go/src/k8s.io").mkdir(parents=True, exist_ok=True)
    link = tree / ".go/src/k8s.io/kubernetes"
    if not link.is_symlink():
        link.symlink_to("../../..")
    env = os.environ | {
        "HOME": str(folder),
        "GOPATH": str(tree / ".go"),
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=vendor",
        "GO111MODULE": "on",
    }
    wanted = " ".join(f"cmd/{name}" for name in PROGRAMS)
    with (folder / "build.log").open("wb") as log:
        subprocess.run(["make", f"WHAT={wanted}"], cwd=tree, env=env, stdout=log, stderr=log, check=True)
    return built


def _fetch(folder: Path, tree: Path) -> None:
    """Unpacks the source, by lists of its own: the machine's stay as they are."""
    parts, lists = folder / "parts", folder / "lists"
    parts.mkdir(parents=True, exist_ok=True)
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    (parts / "source.sources").write_text(SOURCES)
    apt = ["apt-get", "-qq", "-o", "Dir::Etc::SourceList=/dev/null", "-o", f"Dir::Etc::SourceParts={parts}"]
    apt += ["-o", f"Dir::State::Lists={lists}", "-o", "APT::Sandbox::User=root"]
    subprocess.run([*apt, "update"], cwd=folder, check=True)
    subprocess.run([*apt, "source", "--download-only", "kubernetes"], cwd=folder, check=True)
    (description,) = folder.glob("kubernetes_*.dsc")
    subprocess.run(["dpkg-source", "-x", description.name, tree.name], cwd=folder, check=True)
    # The version that came with the source crashes on custom resources when a newer Go compiles it.
    shutil.rmtree(tree / "vendor" / REFLECT)
    shutil.copytree(Path("/usr/share/gocode/src") / REFLECT, tree / "vendor" / REFLECT)
