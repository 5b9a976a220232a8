"""The verdicts of the strips as they are without faults: worked out once for each state of the code, and kept."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from redis_servers import binaries

from chaos.feeder import Feeder
from chaos.plan import Shipment, in_order
from chaos.plant import Plant
from chaos.strips import LINE, POOL
from stripwatch.domain.frame import RunId

ROOT = Path(__file__).parents[2]
SIMULATED = (1, 2, 3)
PATIENCE_S = 60.0


def simulated_settings(seed: int, run: str) -> dict[str, str]:
    """A real ingest's simulated strip: twenty frames of 100 rows in some three seconds."""
    return {
        "STRIPWATCH_SOURCE": "simulator",
        "STRIPWATCH_RECIPE": "chaos",
        "STRIPWATCH_STRIP": f"simulated-{seed}",
        "STRIPWATCH_RUN": run,
        "STRIPWATCH_LENGTH_MM": "1000",
        "STRIPWATCH_WIDTH_MM": "60",
        "STRIPWATCH_SPEED_M_PER_S": "0.3",
        "STRIPWATCH_FRAME_HEIGHT": "100",
        "STRIPWATCH_SIM_SEED": str(seed),
    }


def simulated_run(seed: int, run: str) -> RunId:
    return RunId(LINE, f"simulated-{seed}", run)


def golden_verdicts(models: Path, recipes: Path, cache: Path) -> dict[str, Any]:
    """CloudEvents by the name of the strip."""
    place = cache / f"golden-{_fingerprint()}.json"
    if not place.exists():
        found = _work_out(models, recipes)
        cache.mkdir(parents=True, exist_ok=True)
        fresh = place.with_suffix(".new")
        fresh.write_text(json.dumps(found), encoding="utf-8")
        fresh.replace(place)
    return dict(json.loads(place.read_text(encoding="utf-8")))


def _work_out(models: Path, recipes: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        kind = max(binaries())
        with Plant(Path(folder), models, recipes, kind) as plant:
            began = time.monotonic()
            feeders = [
                Feeder(
                    Shipment(name, "golden", True, "crooked", 0.0, 1.0, in_order(strip), 0), plant.connect, began, 1e9
                )
                for name, strip in POOL.items()
            ]
            for feeder in feeders:
                feeder.start()
            runs = [feeder.sent.run for feeder in feeders]
            for seed in SIMULATED:
                plant.feed(simulated_settings(seed, "golden")).wait(PATIENCE_S)
                runs.append(simulated_run(seed, "golden"))
            line = plant.connect(direct=True).line(LINE)
            deadline = time.monotonic() + PATIENCE_S
            found: dict[str, Any] = {}
            while len(found) < len(runs) and time.monotonic() < deadline:
                for run in runs:
                    published = line.verdicts.of(run)
                    if published:
                        found[run.strip] = json.loads(published.event.json)
                time.sleep(0.1)
            missing = [run.strip for run in runs if run.strip not in found]
            if missing:
                raise TimeoutError(f"without faults, and yet no verdict of {missing}: {plant.log_text()[-3000:]}")
            return found


def _fingerprint() -> str:
    """Of all code that a verdict depends on, committed or not."""
    digest = hashlib.sha256()
    for folder in (ROOT / "shared" / "stripwatch", ROOT / "services", ROOT / "tests" / "chaos"):
        for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.lua")]):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
