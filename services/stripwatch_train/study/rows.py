"""The paper's Table 1 on the whole of NEU: five rows, five seeds each, and each row a model to be served."""

from __future__ import annotations

from typing import Any

import numpy as np

from stripwatch.domain.model import ModelRef
from stripwatch.pixels import Image, equalise
from stripwatch_train import paper_report
from stripwatch_train.export import write_model
from stripwatch_train.features import pooled
from stripwatch_train.results import command
from stripwatch_train.study import residual, row_classifier, row_models
from stripwatch_train.study.autoencoder import BATCH, EPOCHS, SIZE
from stripwatch_train.study.intervals import mean_worst
from stripwatch_train.study.paper_rows import CLAHE, CLASSIFIER, ROWS, Row
from stripwatch_train.study.row_figures import (
    SHRUNK,
    classes_of,
    contrast,
    plain_scores,
    shrinking_errors,
    sides,
    told,
    variance_kept,
)
from stripwatch_train.study.row_page import tell
from stripwatch_train.study.row_scorers import Reconstruction, given
from stripwatch_train.study.row_training import Job, train_all
from stripwatch_train.study.stage import Stage
from stripwatch_train.study.study import FIVE, Study, small

SERVED_SEED = FIVE[0]
MISSED_SHEET = "missed.png"
"""In var/paper, and only there: the pixels are NEU's."""


def measure(study: Study) -> dict[str, Any]:
    """Train, judge and export all five rows; autoencoders and features come from the cache where they are there."""
    plain = small(study.neu.images, SIZE)
    equalised = np.stack([equalise(tile[0], CLAHE)[None] for tile in plain])
    tiles = {row.name: equalised if row.clahe else plain for row in ROWS}
    jobs = [
        Job(row, tiles[row.name][sides(study.neu, seed)[0]], seed)
        for seed in FIVE
        for row in ROWS
        if row.distance is not None  # row 3 shares row 1's
    ]
    train_all(jobs, study.cache)
    rows = {row.name: _row(study, row, tiles[row.name]) for row in ROWS}
    plainly = plain_scores(plain)
    return {
        "epochs": EPOCHS,
        "batch": BATCH,
        "rows": {**rows, CLASSIFIER: _classifier(study)},
        "without_network": {
            name: _summed([told(study.neu, scores, plainly, sides(study.neu, seed)[1]) for seed in FIVE])
            for name, scores in plainly.items()
        },
        "bottleneck": _bottleneck(study, plain),
    }


def _row(study: Study, row: Row, tiles: Image) -> dict[str, Any]:
    plainly, trials = plain_scores(tiles), []
    for seed in FIVE:
        train, held = sides(study.neu, seed)
        net, course = row.net(tiles[train], seed, study.cache)
        scorer = row.scorer(net, tiles[train], [study.neu.groups[at] for at in train], seed)
        trial = told(study.neu, given(scorer, tiles), plainly, held)
        trials.append({"seed": seed, **trial, "course": [round(loss, 6) for loss in course]})
        if seed == SERVED_SEED:
            draft = row_models.draft(row, scorer, trial["limit"], seed, study.neu.sha256)
            write_model(draft, study.places.local_models, None)
    return _summed(trials)


def _summed(trials: list[dict[str, Any]]) -> dict[str, Any]:
    return {"auroc_overall": mean_worst([trial["overall"]["auroc"] for trial in trials]), "seeds": trials}


def _classifier(study: Study) -> dict[str, Any]:
    neu = study.neu
    features = pooled(study.backbone, neu.images, study.places.cache, neu.sha256)
    trials = paper_report.trials(neu, features, FIVE)
    served = trials["random"][FIVE.index(SERVED_SEED)]
    draft = paper_report.draft(neu, study.backbone, served, command(), ModelRef(CLASSIFIER, "1"))
    write_model(draft, study.places.local_models, None)
    figures = row_classifier.figures(neu, features, trials)
    row_classifier.missed_sheet(neu, [*figures["missed"], *figures["missed_grouped"]], study.cache / MISSED_SHEET)
    return figures


def _bottleneck(study: Study, tiles: Image) -> dict[str, Any]:
    """What share of the pixels' variance gets through row 1's latent, and through an image of half as many numbers."""
    row, spread, plainly = ROWS[0], contrast(tiles), shrinking_errors(tiles)
    kept: dict[str, list[list[float]]] = {}
    for seed in FIVE:
        train, held = sides(study.neu, seed)
        net, _ = row.net(tiles[train], seed, study.cache)
        errors = given(Reconstruction(net, residual.squared), tiles)
        for name, rows in classes_of(study.neu, held).items():
            pair = [variance_kept(errors[rows], spread[rows]), variance_kept(plainly[rows], spread[rows])]
            kept.setdefault(name, []).append(pair)
    return {
        "shrunk_side": SHRUNK,
        "variance_kept": {
            name: {"latent": round(float(np.mean(pairs, 0)[0]), 4), "shrunk": round(float(np.mean(pairs, 0)[1]), 4)}
            for name, pairs in kept.items()
        },
    }


STAGE = Stage("rows", measure, tell)
