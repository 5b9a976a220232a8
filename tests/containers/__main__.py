"""The images and what runs them, from the command line: `PYTHONPATH=tests python -m containers build`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from containers import build, kube_play, namespace, packages, sbom, sizes, third_party
from containers.podman import Podman

COMMANDS = ("system", "build", "third-party", "sizes", "sbom", "kube-play", "clean")
DEFAULT = Path(os.environ.get("TMPDIR", "/tmp"), "stripwatch-containers")  # noqa: S108 - root's, and of this machine


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="containers", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument(
        "--scratch", type=Path, default=DEFAULT, help="folder of all that is made (default: %(default)s)"
    )
    parser.add_argument("--models", choices=("default", "none"), default="default", help="models baked into images")
    parser.add_argument("--out", type=Path, help="folder of the bills of material")
    given = parser.parse_args(arguments)
    podman = Podman(given.scratch / "podman")
    match given.command:
        case "system":
            packages.install()
        case "build":
            print(*build.build(podman, given.scratch, given.models), sep="\n")
        case "third-party":
            print(*third_party.make(podman, given.scratch), sep="\n")
        case "sizes":
            print(sizes.table(podman, given.scratch))
        case "sbom":
            print(*sbom.write(podman, given.scratch, given.out or given.scratch / "sbom"), sep="\n")
        case "kube-play":
            print(*kube_play.play_all(podman, given.scratch), sep="\n")
        case "clean":
            podman.clean()
            namespace.remove_abandoned()
            shutil.rmtree(given.scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
