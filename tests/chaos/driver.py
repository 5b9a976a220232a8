"""One chaos run from its seed: a plant of its own, its course, and what came of it."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from chaos.course import Course
from chaos.golden import golden_verdicts
from chaos.plan import make_plan
from chaos.plant import Plant
from chaos.strips import RECIPE
from stripwatch.errors import StripwatchError
from tiny_models import write_pair


@dataclass(frozen=True, slots=True)
class Bench:
    """What all runs share: models, recipes, and the verdicts without faults."""

    models: Path
    recipes: Path
    golden: dict[str, Any]
    kept: Path
    """Where the logs of runs whose books do not balance are kept."""


@contextmanager
def bench(cache: Path) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        # A verdict on an unknown recipe says where it was looked for: that must be the same place each time.
        models, recipes = Path(folder) / "models", cache / "recipes"
        write_pair(models)
        recipes.mkdir(parents=True, exist_ok=True)
        (recipes / "chaos.yaml").write_text(RECIPE, encoding="utf-8")
        yield Bench(models, recipes, golden_verdicts(models, recipes, cache), cache / "kept")


def run_seed(bench: Bench, seed: int, kind: str) -> dict[str, Any]:
    """Runs one seed; what was counted, and `violations` if the books do not balance."""
    plan = make_plan(seed, kind)
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{kind}-{seed}-"))
    started = time.monotonic()
    try:
        wanted = (kind, plan.aof, plan.aggregators, plan.latency_s)
        with Plant(folder, bench.models, bench.recipes, *wanted) as plant:
            course = Course(plant, plan, bench.golden)
            course.go()
            result = course.close_books()
    except (StripwatchError, redis.RedisError, TimeoutError) as error:  # books that cannot be read do not balance
        result = {"seed": seed, "redis": kind, "violations": [f"{type(error).__name__}: {error}"]}
    result["wall_s"] = round(time.monotonic() - started, 1)
    _keep_or_forget(bench, folder, seed, kind, bool(result["violations"]))
    return result


def _keep_or_forget(bench: Bench, folder: Path, seed: int, kind: str, keep: bool) -> None:
    if keep:
        place = bench.kept / f"{kind}-{seed}"
        shutil.rmtree(place, ignore_errors=True)
        bench.kept.mkdir(parents=True, exist_ok=True)
        shutil.move(folder, place)
    else:
        shutil.rmtree(folder)
