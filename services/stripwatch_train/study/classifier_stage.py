"""The classifier on the untouched backbone: twenty seeds, two splits, two profiles, and what disturbs them."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.progress import track
from sklearn.linear_model import LogisticRegression

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch_train.disturbances import CONDITIONS, disturbed
from stripwatch_train.features import FLIPS
from stripwatch_train.split import Rows, grouped, stratified
from stripwatch_train.study import head
from stripwatch_train.study.classifier_model import export, speeds
from stripwatch_train.study.classifier_page import tell
from stripwatch_train.study.frozen import columns
from stripwatch_train.study.intervals import calibration_error, wilson
from stripwatch_train.study.profiles import ACCURATE, PROFILES, ROUGH, Profile, flipped, macs
from stripwatch_train.study.row_classifier import missed_sheet
from stripwatch_train.study.stage import Stage
from stripwatch_train.study.study import FIVE, SEEDS, Matrix, Study

COST = 10.0
SPLITS = ("grouped", "random")
_THREADS = 2
_ASIDE = 0.25
"""Share of the training part, whole overlap groups, that an inner head leaves aside to be calibrated on."""
ABLATED = {
    "64 px, all stages": (64, (3, 6, 10, 13)),
    "96 px, all stages": (96, (3, 6, 10, 13)),
    "128 px, all stages": (128, (3, 6, 10, 13)),
    "200 px, all stages": (200, (3, 6, 10, 13)),
    "224 px, all stages": (224, (3, 6, 10, 13)),
    "200 px, stage 3": (200, (3,)),
    "200 px, stage 6": (200, (6,)),
    "200 px, stage 10": (200, (10,)),
    "200 px, stage 13": (200, (13,)),
    "200 px, means alone": (200, ()),
}


def measure(study: Study) -> dict[str, Any]:
    """Both profiles over all seeds, the ablations over five, the models of seed 0, and speed side by side."""
    profiles = {profile.name: _profile(study, profile) for profile in PROFILES}
    missed = [miss for one in profiles.values() for split in SPLITS for miss in one[split]["missed"]]
    missed_sheet(study.neu, missed, study.cache / "missed-classifier.png")
    accurate = profiles[ACCURATE.name]
    return {
        "classifier": {
            "accuracy_random_split": accurate["random"]["accuracy"],
            "accuracy_grouped_split": accurate["grouped"]["accuracy"],
            "seeds": list(SEEDS),
            "head": {"cost": COST, "flips": len(FLIPS), "rough": ROUGH},
            "profiles": profiles,
            "ablations": _ablations(study),
            "network": {"mmac": macs(study.backbone, 224), "parameters": _parameters(study)},
            "speed": speeds(study),
        }
    }


@dataclass(frozen=True)
class _Trial:
    """One split of one profile."""

    probabilities: Matrix  # (360, 6)
    labels: head.Labels
    rows: Rows
    disturbed: dict[str, float]
    support: int
    trained: head.Head

    @property
    def wrong(self) -> Rows:
        wrong: Rows = self.rows[self.probabilities.argmax(1) != self.labels]
        return wrong


def _profile(study: Study, profile: Profile) -> dict[str, Any]:
    taught = profile.taught(study)
    conditions = {name: profile.described(study, disturbed(study.neu.images, name)) for name in CONDITIONS}
    found: dict[str, Any] = {}
    for split in SPLITS:
        with ThreadPoolExecutor(_THREADS) as pool:  # libsvm runs outside Python's lock
            told = pool.map(lambda seed: _trial(study, taught, conditions, split, seed), SEEDS)  # noqa: B023 - read here
            trials = list(track(told, total=len(SEEDS), description=f"{profile.name}, {split} splits"))
        found[split] = _told(study, trials)
        if split == "random":
            export(study, profile, trials[0].trained, found[split]["accuracy"][0])
    found["sizes"] = list(profile.sizes)
    found["mmac"] = profile.macs(study)
    return found


def _trial(study: Study, taught: Matrix, conditions: dict[str, Matrix], split: str, seed: int) -> _Trial:
    labels, groups = study.neu.labels, study.neu.groups
    training, judged = _sides(study, split, seed)
    inner, aside = grouped(labels[training], [groups[row] for row in training], seed, _ASIDE)
    first = _fitted(taught, labels, training[inner])
    slope = first.calibrated(taught[0][training[aside]], labels[training[aside]]).slope
    trained = replace(_fitted(taught, labels, training), slope=slope)
    shares = {
        name: float((trained.probabilities(x[judged]).argmax(1) == labels[judged]).mean())
        for name, x in conditions.items()
    }
    return _Trial(
        trained.probabilities(taught[0][judged]), labels[judged], judged, shares, len(trained.support), trained
    )


def _sides(study: Study, split: str, seed: int) -> tuple[Rows, Rows]:
    labels = study.neu.labels
    return stratified(labels, seed) if split == "random" else grouped(labels, study.neu.groups, seed)


def _fitted(taught: Matrix, labels: head.Labels, rows: Rows) -> head.Head:
    return head.fit(taught[:, rows].reshape(-1, taught.shape[2]), np.tile(labels[rows], len(taught)), COST)


def _told(study: Study, trials: list[_Trial]) -> dict[str, Any]:
    accuracy = [1 - len(trial.wrong) / len(trial.rows) for trial in trials]
    missed = Counter(study.neu.names[row] for trial in trials for row in trial.wrong)
    answers = {
        study.neu.names[row]: NEU_CLASSES[int(trial.probabilities[trial.rows == row].argmax())]
        for trial in trials
        for row in trial.wrong
    }
    judged = sum(len(trial.rows) for trial in trials)
    wrong = sum(missed.values())
    return {
        "accuracy": [round(a, 6) for a in accuracy],
        "mean": round(float(np.mean(accuracy)), 6),
        "worst": round(min(accuracy), 6),
        "perfect": sum(not len(trial.wrong) for trial in trials),
        "interval": [round(bound, 6) for bound in wilson(judged - wrong, judged)],
        "missed": [{"image": name, "times": times, "answer": answers[name]} for name, times in missed.most_common()],
        "calibration_error": round(
            calibration_error(
                np.concatenate([trial.probabilities for trial in trials]),
                np.concatenate([trial.labels for trial in trials]),
            ),
            5,
        ),
        "disturbed": {
            name: {
                "mean": round(float(np.mean([trial.disturbed[name] for trial in trials])), 5),
                "worst": round(min(trial.disturbed[name] for trial in trials), 5),
            }
            for name in CONDITIONS
        },
        "support_vectors": round(float(np.mean([trial.support for trial in trials]))),
        "slope": round(float(np.median([trial.trained.slope for trial in trials])), 2),
    }


def _ablations(study: Study) -> dict[str, dict[str, Any]]:
    """Standardised statistics, flips and logistic regression (C = 0.3), five seeds: which numbers carry the class."""
    found: dict[str, dict[str, Any]] = {}
    flips = flipped(study.neu.images)
    sizes = {size for size, _ in ABLATED.values()}
    described = {size: np.stack([study.described(views, size) for views in flips]) for size in sizes}
    for name, (size, stages) in track(ABLATED.items(), description="ablations"):
        taught = described[size]
        kept = columns(stages) if stages else _means()
        found[name] = {
            "numbers": len(kept),
            **{split: [_linear(study, taught[:, :, kept], split, seed) for seed in FIVE] for split in SPLITS},
        }
    return found


def _means() -> head.Labels:
    """Columns without the deviations."""
    return np.concatenate([columns((stage,))[: len(columns((stage,))) // 2] for stage in (3, 6, 10, 13)])


def _linear(study: Study, taught: Matrix, split: str, seed: int) -> float:
    labels = study.neu.labels
    training, judged = _sides(study, split, seed)
    x = taught[:, training].reshape(-1, taught.shape[2])
    mean, spread = x.mean(0), x.std(0) + 1e-6
    line = LogisticRegression(C=0.3, max_iter=400).fit((x - mean) / spread, np.tile(labels[training], len(taught)))
    return round(float((line.predict((taught[0][judged] - mean) / spread) == labels[judged]).mean()), 6)


def _parameters(study: Study) -> dict[str, int]:
    return {
        "mobilenetv2": sum(p.numel() for p in study.backbone.parameters()),
        "truncated": sum(p.numel() for p in study.frozen.parameters()),
    }


STAGE = Stage("classifier", measure, tell)
