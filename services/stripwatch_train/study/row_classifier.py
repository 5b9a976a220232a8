"""Row 5: the paper's classifier over five seeds, random and grouped, and every image it missed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch_train.features import Features
from stripwatch_train.neu import Neu
from stripwatch_train.paper import Trial

_ACROSS = 6


def figures(neu: Neu, features: Features, trials: dict[str, list[Trial]]) -> dict[str, Any]:
    """Accuracies as shares, losses, confusion matrices summed over seeds, missed images; grouped splits beside."""
    report: dict[str, Any] = {"classes": list(NEU_CLASSES)}
    for split, ending in (("random", ""), ("grouped", "_grouped")):
        runs = trials[split]
        report |= {
            f"accuracy{ending}": [round(run.accuracy, 6) for run in runs],
            f"validation_images{ending}": [int(run.confusion.sum()) for run in runs],
            f"validation_loss{ending}": [round(run.loss, 5) for run in runs],
            f"confusion{ending}": [[int(n) for n in row] for row in np.sum([run.confusion for run in runs], axis=0)],
            f"missed{ending}": [miss for run in runs for miss in _missed(neu, features, run)],
        }
    return report


def missed_sheet(neu: Neu, missed: Sequence[dict[str, Any]], file: Path) -> None:
    """A sheet of the missed images, each once, under its name and the answers it got. Never for the repository."""
    answers: dict[str, set[str]] = {}
    for miss in missed:
        answers.setdefault(miss["image"], set()).add(miss["answer"])
    down = max(1, -(-len(answers) // _ACROSS))
    figure = Figure(figsize=(2.2 * _ACROSS, 2.6 * down))
    for at, (name, given) in enumerate(sorted(answers.items())):
        axes = figure.add_subplot(down, _ACROSS, at + 1)
        axes.imshow(neu.images[neu.rows([name])[0]], cmap="gray", vmin=0, vmax=255)
        axes.set_title(f"{name}\ncalled {', '.join(sorted(given))}", fontsize=7)
        axes.set_axis_off()
    figure.savefig(file, dpi=110)


@torch.inference_mode()
def _missed(neu: Neu, features: Features, trial: Trial) -> list[dict[str, Any]]:
    if not trial.missed:
        return []
    logits = trial.head(torch.from_numpy(features[0, list(trial.missed)]))
    probabilities, answers = torch.softmax(logits, 1).max(1)
    return [
        {
            "seed": trial.seed,
            "image": neu.names[row],
            "answer": NEU_CLASSES[int(answer)],
            "probability": round(float(probability), 4),
        }
        for row, answer, probability in zip(trial.missed, answers, probabilities, strict=True)
    ]
