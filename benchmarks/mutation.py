"""Mutation testing of the core: does a test notice when a line of it is changed? Writes results/mutation.json.

Mutates a copy under var/mutation and runs the fast tests on each mutant, or on a sample of each module's; goes on where
it was stopped. What survives is listed with the word that mutation_survivors.json has on why it does not matter.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from importlib.metadata import version
from pathlib import Path

from conditions import conditions, write

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "var" / "mutation"
WORDS = Path(__file__).with_name("mutation_survivors.json")
AGGREGATOR = ("account", "coverage", "decide", "defects", "disposition", "flags", "front", "keep", "memo", "service")
MUTATED = (
    *(f"src/stripwatch_aggregator/{name}.py" for name in AGGREGATOR),
    "src/stripwatch/stream/memory/*",
    "src/stripwatch/stream/cursor.py",
)
TESTS = (
    *(
        f"tests/unit/test_aggregator_{name}.py"
        for name in ("bounds", "decide", "defects", "events", "guards", "keep", "memo", "service")
    ),
    "tests/contract/test_stream.py",
)
WITHOUT = "not cluster and not redis and not sentinel and not field_table"
"""Servers are slow to start anew for each mutant; the page's table of fields has no copy here."""
CONFIG = """
[tool.pytest.ini_options]
pythonpath = ["tests", "tests/contract"]
addopts = "--import-mode=importlib -p no:xdist -p no:cacheprovider"

[tool.mutmut]
source_paths = ["src"]
also_copy = ["tests", "docs"]
do_not_mutate_patterns = ['log\\.\\w+\\(']
"""
NOTICED = ("killed", "timeout", "suspicious", "segfault", "caught by type check")


def prepare() -> None:
    """A copy with one source root, as the tool wants it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    packages = [one for root in ("shared", "services") for one in (ROOT / root).iterdir() if one.is_dir()]
    for package in packages:
        if package.name.startswith("stripwatch") and package.name != "stripwatch_train":
            _copy(package, FOLDER / "src" / package.name)
    for name in ("tests", "docs"):
        _copy(ROOT / name, FOLDER / name)
    chosen = {
        "only_mutate": MUTATED,
        "pytest_add_cli_args_test_selection": TESTS,
        "pytest_add_cli_args": ("-k", WITHOUT),
    }
    lines = "".join(f"{key} = {json.dumps(values)}\n" for key, values in chosen.items())
    (FOLDER / "pyproject.toml").write_text(CONFIG + lines, encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))


def mutmut(*arguments: str, capture: bool = False) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, cwd=FOLDER, check=False, capture_output=capture, text=True).stdout or ""


def outcomes() -> dict[str, str]:
    """Every mutant and what became of it."""
    told = mutmut("results", "--all", "true", capture=True)
    return dict(re.findall(r"^\s*(\S+__mutmut_\d+): (.+)$", told, re.MULTILINE))


def module_of(mutant: str) -> str:
    return mutant.partition(".x")[0]


def sample(most: int) -> list[str]:
    """Up to so many mutants of each module, the same every time."""
    modules: dict[str, list[str]] = defaultdict(list)
    for mutant in sorted(outcomes()):
        modules[module_of(mutant)].append(mutant)
    draw = random.Random(5)
    return [one for _, found in sorted(modules.items()) for one in draw.sample(found, min(most, len(found)))]


def scores(found: dict[str, str]) -> dict[str, dict[str, object]]:
    """How many mutants of each module were noticed, %."""
    modules: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant, outcome in found.items():
        modules[module_of(mutant)][outcome] += 1
    return {name: {**counts, "score": _score(counts)} for name, counts in sorted(modules.items())}


def _score(counts: Counter[str]) -> float:
    return round(100 * sum(counts[one] for one in NOTICED) / max(1, counts.total()), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="only N mutants of each module (0: all)")
    most = parser.parse_args().sample
    prepare()
    if most:
        mutmut("run", "--max-children", "2", "stripwatch.stream.cursor*")  # makes the mutants, of which to draw
    mutmut("run", "--max-children", "2", *(sample(most) if most else ()))
    found = {mutant: outcome for mutant, outcome in outcomes().items() if outcome != "not checked"}
    words: dict[str, str] = json.loads(WORDS.read_text(encoding="utf-8")) if WORDS.exists() else {}
    left = sorted(mutant for mutant, outcome in found.items() if outcome not in NOTICED)
    result = {
        **conditions("python benchmarks/mutation.py" + (f" --sample {most}" if most else ""), "none: memory only"),
        "versions": {name: version(name) for name in ("mutmut", "pytest", "hypothesis")},
        "mutants": len(found),
        "score": _score(Counter(found.values())),
        "modules": scores(found),
        "survivors": {mutant: words.get(mutant, "not looked at") for mutant in left},
    }
    print(write("mutation", result))


if __name__ == "__main__":
    main()
