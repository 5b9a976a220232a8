"""`python -m chaos --seed N --runs K [--redis 7|8] [--out FILE]`, or `--summary`; goes on where it was ended."""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from chaos.driver import bench, run_seed
from chaos.plan import make_plan
from chaos.servers import KINDS

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "var" / "chaos"


def main() -> int:
    """Exit code 1 if any books do not balance."""
    options = _options()
    if options.summary:
        sys.stdout.write(json.dumps(summary(_results(options.out)), indent=2) + "\n")
        return 0
    logging.getLogger("stripwatch").addHandler(logging.NullHandler())  # the sources in here need not tell
    commit = _commit()
    done = {(one["seed"], one["redis"], one["commit"]) for one in _results(options.out)}
    seeds = [
        one for one in range(options.seed, options.seed + options.runs) if (one, options.redis, commit) not in done
    ]
    if not seeds:
        sys.stdout.write(f"nothing to do: all of these seeds are in {options.out}\n")
        return 0
    options.out.parent.mkdir(parents=True, exist_ok=True)
    wrong = 0
    with bench(CACHE) as shared, options.out.open("a", encoding="utf-8") as out:
        for seed in seeds:
            result = {
                **run_seed(shared, seed, options.redis),
                "commit": commit,
                "at": time.strftime("%FT%TZ", time.gmtime()),
            }
            out.write(json.dumps(result) + "\n")
            out.flush()
            wrong += bool(result["violations"])
            _tell(result)
    sys.stdout.write(f"{len(seeds)} runs, {wrong} whose books do not balance\n")
    return 1 if wrong else 0


def _tell(result: dict[str, Any]) -> None:
    seed, kind = result["seed"], result["redis"]
    counts = ""
    if "faults" in result:
        counts = (
            f"{sum(result['faults'].values())} faults, {result['sent']} frames, {result['verdicts']} verdicts, "
            f"recovery {result['recovery_s']} s, "
        )
    words = "VIOLATED" if result["violations"] else "balanced"
    sys.stdout.write(f"seed {seed} redis {kind}: {counts}{result['wall_s']} s: {words}\n")
    for one in result["violations"]:
        sys.stdout.write(f"  - {one}\n")
    if result["violations"]:
        plan = make_plan(seed, kind).as_json()
        for shipment in plan["shipments"]:
            shipment["order"] = " ".join(shipment["order"]) if shipment["way"] == "crooked" else "in order"
        sys.stdout.write(f"  plan: {json.dumps(plan)}\n  logs: {CACHE / 'kept' / f'{kind}-{seed}'}\n")
        sys.stdout.write(f"  again: make chaos SEED={seed} RUNS=1 REDIS={kind} OUT=/dev/null\n")
    sys.stdout.flush()


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Totals over all runs whose books could be read, and what is wrong with any.

    Of a seed that was run again the last run counts; `mended` are those that did not balance before.
    """
    last = {(one["redis"], one["seed"]): one for one in results}
    mended = [_name(one) for one in results if one["violations"] and not last[one["redis"], one["seed"]]["violations"]]
    violated = [_name(one) for one in last.values() if one["violations"]]
    results = [one for one in last.values() if "faults" in one]
    faults: Counter[str] = Counter()
    for one in results:
        faults.update(one["faults"])
    counted = (
        "sent",
        "accounted",
        "overdue",
        "gone",
        "judged",
        "failed",
        "shed",
        "never_seen",
        "late",
        "verdicts",
        "excused",
        "restarts",
    )
    recovery = sorted(one["recovery_s"] for one in results)
    return {
        "command": "make chaos",
        "runs": len(results),
        "by_redis": dict(Counter(_server(one) for one in results)),
        "commits": sorted({one["commit"] for one in results}),
        "strips": sum(one["runs"] for one in results),
        **{name: sum(one[name] for one in results) for name in counted},
        "faults": sum(faults.values()),
        "faults_by_kind": dict(sorted(faults.items())),
        "recovery_s": {
            "median": recovery[len(recovery) // 2],
            "p95": recovery[int(len(recovery) * 0.95)],
            "longest": recovery[-1],
        }
        if recovery
        else {},
        "wall_s": round(sum(one["wall_s"] for one in results), 1),
        "violated": violated,
        "mended": sorted(set(mended)),
    }


def _name(result: dict[str, Any]) -> str:
    return f"{result['redis']}:{result['seed']}"


def _server(result: dict[str, Any]) -> str:
    """Which Redis, in words."""
    kind = "" if result["redis"].isdecimal() else f" ({result['redis']})"
    return f"Redis {result['redis_version']}{kind}"


def _results(out: Path) -> list[dict[str, Any]]:
    if not out.is_file():
        return []
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines() if line.startswith("{")]


def _commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Seeded faults on the whole pipeline")
    parser.add_argument("--seed", type=int, default=1, help="first seed")
    parser.add_argument("--runs", type=int, default=1, help="how many seeds from there")
    parser.add_argument("--redis", choices=KINDS, default="8", help="which server")
    parser.add_argument("--out", type=Path, default=CACHE / "results.jsonl", help="results, one run a line")
    parser.add_argument("--summary", action="store_true", help="totals of the results file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
