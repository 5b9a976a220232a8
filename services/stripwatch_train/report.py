"""The shipped models' figures: measured, written to `benchmarks/results/models.json`, and told in each card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from stripwatch_train.batches import CLASSES
from stripwatch_train.evaluate import THRESHOLDS, Judge, auroc, confusion, tally
from stripwatch_train.export import session
from stripwatch_train.pools import EVALUATION_SEED, quilted, simulated_clean
from stripwatch_train.shipped import STEEL, TEXTURE
from stripwatch_train.stocks import QUILTS_EACH, Stocks
from stripwatch_train.strips import off_grid, on_grid, simulated

STRIPS = 100
_FLAWED_SEED, _CLEAN_SEED, _GROUND_SEED = EVALUATION_SEED + 40_000, EVALUATION_SEED + 50_000, EVALUATION_SEED + 20_000


def load_judge(models: Path) -> Judge:
    """Both shipped models through ONNX Runtime."""
    steel, texture = models / str(STEEL), models / str(TEXTURE)
    return Judge(session(steel), _size(steel), session(texture), _size(texture))


def measure(models: Path, stocks: Stocks) -> dict[str, Any]:
    """All figures that `models.json` holds, by the exported graphs."""
    neu, held, judge = stocks.neu, stocks.heldout, load_judge(models)
    cache = neu.places.cache
    real, _ = quilted(cache, neu, held, QUILTS_EACH)
    drawn = simulated_clean(cache, len(held), _GROUND_SEED)
    accuracy, matrix = confusion(judge, neu.images[held], neu.labels[held] + 1)
    defect_scores = judge.judge(neu.images[held])[1]
    p, scores = judge.judge(real)
    false_real = [round(float(((p.argmax(1) > 0) & (p.max(1) >= t)).mean()), 5) for t in THRESHOLDS]
    drawn_scores = judge.judge(drawn)[1]
    flawed = (simulated(_FLAWED_SEED + at, None) for at in range(STRIPS))
    clean = (simulated(_CLEAN_SEED + at, 0) for at in range(STRIPS))
    return {
        "classes": list(CLASSES),
        "heldout_images": {"count": len(held), "accuracy": round(accuracy, 5), "confusion": matrix},
        "heldout_healthy_quilted": {
            "tiles": len(real),
            "thresholds": list(THRESHOLDS),
            "false_share": false_real,
            "anomaly_false_share": round(float((scores >= 1).mean()), 5),
        },
        "anomaly_auroc": {
            "heldout_defects_against_quilted": round(auroc(scores, defect_scores), 5),
            "heldout_defects_against_simulated_clean": round(auroc(drawn_scores, defect_scores), 5),
        },
        "composed_on_grid": tally(judge, on_grid(neu, held, drawn), len(held), "composed, on the grid"),
        "composed_off_grid_simulated_ground": tally(judge, off_grid(neu, held, drawn, 1), len(held), "off the grid"),
        "composed_off_grid_real_ground": tally(judge, off_grid(neu, held, real[::3], 2), len(held), "off, real ground"),
        "simulated_strips": tally(judge, flawed, STRIPS, "simulated strips"),
        "simulated_clean_strips": tally(judge, clean, STRIPS, "simulated clean strips"),
    }


def short(figures: dict[str, Any], at: int) -> dict[str, Any]:
    """What a manifest holds of them, at one of THRESHOLDS."""
    flawed, clean = figures["simulated_strips"], figures["simulated_clean_strips"]
    return {
        "confidence": THRESHOLDS[at],
        "heldout_accuracy": figures["heldout_images"]["accuracy"],
        "on_grid_right": figures["composed_on_grid"]["right_class"][at],
        "off_grid_right_simulated_ground": figures["composed_off_grid_simulated_ground"]["right_class"][at],
        "off_grid_right_real_ground": figures["composed_off_grid_real_ground"]["right_class"][at],
        "simulated_found": flawed["found_as_any_class"][at],
        "simulated_right": flawed["right_class"][at],
        "clean_tiles": flawed["tiles_without_defect"] + clean["tiles_without_defect"],
        "clean_tiles_false": flawed["false_tiles"][at] + clean["false_tiles"][at],
        "clean_strips_false": clean["false_strips"][at],
        "anomaly_auroc": figures["anomaly_auroc"],
        "anomaly_clean_tiles_false": flawed["anomaly_false_tiles"] + clean["anomaly_false_tiles"],
    }


def confusion_csv(figures: dict[str, Any]) -> str:
    """The held-out confusion matrix as CSV: rows are the truth."""
    rows = [",".join(["truth", *CLASSES])]
    matrix = np.asarray(figures["heldout_images"]["confusion"])
    rows += [",".join([name, *map(str, row)]) for name, row in zip(CLASSES, matrix, strict=True)]
    return "\n".join(rows) + "\n"


def _size(folder: Path) -> int:
    return int(json.loads((folder / "manifest.json").read_text())["input"]["size"])
