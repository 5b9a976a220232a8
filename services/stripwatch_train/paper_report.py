"""The paper's recipe over five seeds, random and grouped, and the six-class model it gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.domain.model import ModelKind, ModelRef
from stripwatch_train.export import Draft
from stripwatch_train.features import Features
from stripwatch_train.mobilenet import MobileNetV2
from stripwatch_train.neu import Neu
from stripwatch_train.paper import PaperNet, Trial, train_head
from stripwatch_train.results import table
from stripwatch_train.split import grouped, stratified

PAPER_MODEL = ModelRef("mobilenetv2-neu6", "1")
SEEDS = (0, 1, 2, 3, 4)


def trials(neu: Neu, features: Features, seeds: Sequence[int] = SEEDS) -> dict[str, list[Trial]]:
    """One training a seed on random stratified splits, one on splits that keep overlap groups whole."""
    return {
        "random": [train_head(features, neu.labels, *stratified(neu.labels, seed), seed) for seed in seeds],
        "grouped": [train_head(features, neu.labels, *grouped(neu.labels, neu.groups, seed), seed) for seed in seeds],
    }


def figures(neu: Neu, results: dict[str, list[Trial]]) -> dict[str, Any]:
    """Accuracy in %, loss, confusion and missed images of each seed, and their means."""
    report: dict[str, Any] = {
        "recipe": "frozen ImageNet MobileNetV2, Dropout 0.2 + Linear(1280, 6), 224x224, ImageNet mean/std, H and V "
        "flips, Adam 0.001, cross-entropy, batch 32, 10 epochs, stratified 80/20. The backbone being frozen, the "
        "pooled features of the four flip variants are computed once (7,200 passes) and drawn from in each epoch.",
        "classes": list(NEU_CLASSES),
    }
    for split, runs in results.items():
        report[split] = {
            "mean_accuracy": round(100 * float(np.mean([run.accuracy for run in runs])), 3),
            "worst_accuracy": round(100 * min(run.accuracy for run in runs), 3),
            "seeds": [
                {
                    "seed": run.seed,
                    "accuracy": round(100 * run.accuracy, 3),
                    "validation_images": int(run.confusion.sum()),
                    "validation_loss": round(run.loss, 5),
                    "confusion": [[int(n) for n in row] for row in run.confusion],
                    "missed": [neu.names[row] for row in run.missed],
                }
                for run in runs
            ],
        }
    return report


def text(results: dict[str, list[Trial]]) -> str:
    """The same for people: accuracies, and the confusion matrix over all seeds."""
    lines: list[str] = []
    for split, runs in results.items():
        accuracies = [100 * run.accuracy for run in runs]
        lines.append(f"{split:8s} {' '.join(f'{a:6.2f}' for a in accuracies)}   mean {np.mean(accuracies):.2f} %")
        total = np.sum([run.confusion for run in runs], axis=0)
        lines.append(table([[int(n) for n in row] for row in total], NEU_CLASSES, NEU_CLASSES) + "\n")
    return "\n".join(lines)


def draft(neu: Neu, backbone: MobileNetV2, trial: Trial, command: str, ref: ModelRef = PAPER_MODEL) -> Draft:
    """The model of one seed, for `models/local`: its backbone is the untouched one, so it is never committed."""
    metrics = {"accuracy": trial.accuracy, "validation_loss": trial.loss, "split": f"random, seed {trial.seed}"}
    provenance = {
        "data_sha256": neu.sha256,
        "seed": trial.seed,
        "command": command,
        "licence": "ImageNet weights Apache-2.0 or BSD-3-Clause by their source; NEU images: licence not stated",
        "trained_on": "NEU surface defect database, stratified 80 %",
        "backbone": "MobileNetV2 1.0, ImageNet, frozen",
        "metrics": metrics,
    }
    card = (
        f"# {ref}\n\nThe paper's six-class model: {100 * trial.accuracy:.2f} % of its 360 validation images "
        f"(random split, seed {trial.seed}). Built on this machine on the untouched ImageNet backbone; not for "
        "redistribution. It knows no healthy steel: the recipe of its name takes `patches` for healthy.\n"
    )
    net = PaperNet(backbone, trial.head)
    return Draft(ref, ModelKind.CLASSIFIER, net, 224, NEU_CLASSES, 1.0, 0.5, provenance, card)
