"""The shipped models' figures, by the graphs that are served; told in each card and on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stripwatch.models.manifest import MAP
from stripwatch_train.batches import CLASSES
from stripwatch_train.disturbances import CONDITIONS, disturbed
from stripwatch_train.evaluate import THRESHOLDS, Judge, Scores, auroc, confusion, shrunk, tally
from stripwatch_train.export import session
from stripwatch_train.neu import Neu
from stripwatch_train.pools import EVALUATION_SEED, quilted, simulated_clean
from stripwatch_train.shipped import Pair
from stripwatch_train.split import HELDOUT_SEED, Rows
from stripwatch_train.stocks import QUILTS_EACH, Stocks
from stripwatch_train.strips import off_grid, on_grid, simulated
from stripwatch_train.study.box_truth import read_truth
from stripwatch_train.study.box_ways import Sides
from stripwatch_train.study.intervals import calibration_error
from stripwatch_train.where import box_recall

STRIPS = 100
_FLAWED_SEED, _CLEAN_SEED, _GROUND_SEED = EVALUATION_SEED + 40_000, EVALUATION_SEED + 50_000, EVALUATION_SEED + 20_000


def load_judge(models: Path, pair: Pair) -> Judge:
    """Both models of a profile through ONNX Runtime."""
    classifier, scorer = models / str(pair.classifier), models / str(pair.scorer)
    return Judge(session(classifier), pair.size, session(scorer), pair.size)


def measure(models: Path, stocks: Stocks, pair: Pair) -> dict[str, Any]:
    """All figures of one profile."""
    neu, held, judge = stocks.neu, stocks.heldout, load_judge(models, pair)
    cache = neu.places.cache
    real, _ = quilted(cache, neu, held, QUILTS_EACH)
    drawn = simulated_clean(cache, len(held), _GROUND_SEED)
    images, truth = neu.images[held], neu.labels[held] + 1
    accuracy, matrix = confusion(judge, images, truth)
    clear, defect_scores = judge.judge(images)
    p, scores = judge.judge(real)
    false_real = [round(float(((p.argmax(1) > 0) & (p.max(1) >= t)).mean()), 5) for t in THRESHOLDS]
    drawn_scores = judge.judge(drawn)[1]
    flawed = (simulated(_FLAWED_SEED + at, None) for at in range(STRIPS))
    clean = (simulated(_CLEAN_SEED + at, 0) for at in range(STRIPS))
    return {
        "classes": list(CLASSES),
        "boxes": _boxes(models, stocks, pair) if pair.has_map else None,
        "heldout_images": {
            "count": len(held),
            "accuracy": round(accuracy, 5),
            "confusion": matrix,
            "missed": _missed(neu, held, clear),
            "calibration_error": round(calibration_error(clear, truth), 5),
            "disturbed": {
                name: round(float((judge.judge(disturbed(images, name))[0].argmax(1) == truth).mean()), 5)
                for name in CONDITIONS
            },
        },
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


def _boxes(models: Path, stocks: Stocks, pair: Pair) -> dict[str, Any]:
    """How well boxes cut from the map fit those of NEU-DET on held-out images, by the class that is answered.

    Where to cut is chosen on training images, whose maps the heads have fitted: a held-out map is a little fainter.
    """
    neu, folder = stocks.neu, models / str(pair.classifier)
    tiles = shrunk(neu.images, pair.size)
    maps = session(folder, output=MAP)(tiles)
    predicted = session(folder)(tiles)[:, 1:].argmax(1)
    sides = Sides.of(stocks.training, stocks.heldout, neu.labels, predicted, neu.groups, HELDOUT_SEED)
    return box_recall(maps, read_truth(neu.places.notes / "_annotations_voc", neu.names).boxes, sides)


def _missed(neu: Neu, held: Rows, probabilities: Scores) -> list[dict[str, Any]]:
    """Held-out images that get another class, and how sure the answer is."""
    answers = probabilities.argmax(1)
    return [
        {
            "image": neu.names[row],
            "answer": CLASSES[answers[at]],
            "probability": round(float(probabilities[at].max()), 4),
        }
        for at, row in enumerate(held)
        if answers[at] != neu.labels[row] + 1
    ]
