"""Every target for its share of the time: `python -m fuzz --seconds 400 --out benchmarks/results/fuzz.json`."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fuzz.target import LARGEST_INPUT
from fuzz.targets import NAMES, target

HANG_S = 20
MOST_MB = 2048
_MOST_CRASHES = 5
_MEMORY = Path("/dev/shm")  # noqa: S108 (folders with names of chance are made in it)
_STATUS = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)/")
_STAT = re.compile(r"stat::(\w+):\s+(\d+)")
_VERSIONS = ("atheris", "opencv-python-headless", "protobuf", "mcap", "PyYAML", "pydantic", "numpy")


@dataclass(slots=True)
class Count:
    """What the fuzzer said of one target."""

    inputs: int = 0
    seconds: float = 0.0
    inputs_per_s: int = 0
    edges: int = 0
    features: int = 0
    corpus: int = 0
    peak_mb: int = 0
    crashes: list[str] = field(default_factory=list)


def fuzzed(name: str, seconds: float, seed: int, place: Path) -> Count:
    """Runs the target; a crash ends its process, and another one goes on with the time that is left."""
    count, began = Count(), time.monotonic()
    corpus, found = place / name, place / f"{name}-found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target(name).seeds()):
        (corpus / f"seed{number}").write_bytes(data)
    while (left := seconds - (time.monotonic() - began)) > 1 and len(count.crashes) < _MOST_CRASHES:
        _run(name, round(left), seed + len(count.crashes), corpus, found, count)
    count.seconds = round(time.monotonic() - began, 1)
    count.inputs_per_s = round(count.inputs / max(count.seconds, 0.1))
    return count


def _run(name: str, seconds: int, seed: int, corpus: Path, found: Path, count: Count) -> None:
    options = {
        "max_total_time": seconds,
        "max_len": target(name).largest,
        "timeout": HANG_S,
        "rss_limit_mb": MOST_MB,
        "seed": seed,
        "print_final_stats": 1,
        "artifact_prefix": f"{found}/",
    }
    command = [sys.executable, "-m", "fuzz.drive", name, str(corpus)]
    command += [f"-{option}={value}" for option, value in options.items()]
    paths = os.pathsep.join(path for path in sys.path if path)
    memory = _MEMORY if _MEMORY.is_dir() else None  # files of inputs are written thousands of times a second
    with tempfile.TemporaryDirectory(dir=memory) as scratch, tempfile.TemporaryFile("w+", errors="replace") as said:
        environment = {**os.environ, "PYTHONPATH": paths, "TMPDIR": scratch}
        code = subprocess.run(command, stdout=said, stderr=said, env=environment, check=False).returncode
        said.seek(0)
        stats = {}
        for line in said:
            if status := _STATUS.search(line):
                count.edges, count.features, count.corpus = map(int, status.groups())
            if stat := _STAT.search(line):
                stats[stat[1]] = int(stat[2])
        count.inputs += stats.get("number_of_executed_units", 0)
        count.peak_mb = max(count.peak_mb, stats.get("peak_rss_mb", 0))
        if code:
            inputs = sorted(found.iterdir(), key=lambda path: path.stat().st_mtime)
            count.crashes.append(str(inputs[-1]) if inputs else f"{name}: exit code {code}")
            said.seek(0)
            sys.stdout.write("".join(said.readlines()[-60:]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=80, help="for all targets together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--targets", default=",".join(NAMES))
    parser.add_argument("--place", type=Path, default=Path("var/fuzz"), help="inputs found so far, and crashes")
    parser.add_argument("--out", type=Path, help="where the counts go")
    given = parser.parse_args()
    names = given.targets.split(",")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    counts = {}
    for name in names:
        counts[name] = fuzzed(name, given.seconds / len(names), given.seed, given.place)
        sys.stdout.write(f"{name}: {asdict(counts[name])}\n")
        sys.stdout.flush()
    inputs, crashes = sum(one.inputs for one in counts.values()), sum(len(one.crashes) for one in counts.values())
    sys.stdout.write(f"{inputs} inputs, {crashes} crashes\n")
    if given.out:
        results = {
            "command": f"make fuzz SECONDS={given.seconds:g} SEED={given.seed} OUT={given.out}",
            "commit": commit.stdout.strip(),
            "machine": {"system": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()},
            "versions": {name: importlib.metadata.version(name) for name in _VERSIONS},
            "bounds": {"hang_s": HANG_S, "memory_mb": MOST_MB, "input_bytes": LARGEST_INPUT},
            "inputs": inputs,
            "crashes": crashes,
            "targets": {name: asdict(one) for name, one in counts.items()},
        }
        given.out.write_text(json.dumps(results, indent=2) + "\n")
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
