"""The scorer as one graph: a 128 px tile in, described at 128 and at 64 px, and its score out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stripwatch.domain.model import ModelKind, ModelRef
from stripwatch_train.evaluate import auroc
from stripwatch_train.export import Draft, session, write_model
from stripwatch_train.neighbours import Healthy, NeighboursNet
from stripwatch_train.results import command
from stripwatch_train.split import Rows
from stripwatch_train.study.frozen import Frozen
from stripwatch_train.study.study import Study, small

REF = ModelRef("neighbours", "1")
SIZE = 128
PERCENTILE = 99
"""Of held-out healthy scores: the threshold."""


class TwoSizes(nn.Module):
    """(N, 1, 128, 128) uint8 tiles to (N, 864): the descriptors at 64 px and at 128 px."""

    def __init__(self, frozen: Frozen) -> None:
        super().__init__()
        self.frozen = frozen

    def forward(self, tiles: Tensor) -> Tensor:
        half = nn.functional.avg_pool2d(tiles.float(), 2)
        return torch.cat([self.frozen(half), self.frozen(tiles)], 1)


def export(study: Study, healthy: Healthy, scores: np.ndarray[Any, Any], held: Rows, defective: Rows) -> dict[str, Any]:
    """Write `models/local/neighbours/1`, and say how its graph agrees with what was measured."""
    limit = float(np.percentile(scores[held], PERCENTILE))
    net = nn.Sequential(TwoSizes(study.frozen), NeighboursNet(healthy, limit))
    provenance = {
        "data_sha256": study.neu.sha256,
        "seed": 0,
        "command": command(),
        "licence": "ImageNet weights Apache-2.0 or BSD-3-Clause by their source; NEU images: licence not stated",
        "trained_on": "without labels of defects: 80 % of NEU's `patches` as the healthy baseline of the paper",
        "backbone": "MobileNetV2 1.0 features 0-13, ImageNet, frozen",
        "metrics": {"auroc": round(auroc(scores[held], scores[defective]), 5)},
    }
    card = (
        f"# {REF}\n\nDistance to the nearest healthy tiles in two measures, on the untouched ImageNet backbone; built "
        "on this machine, not for redistribution. Healthy is what the paper takes for it, NEU's `patches`: for a "
        "comparison, not for a line.\n"
    )
    draft = Draft(REF, ModelKind.ANOMALY, net, SIZE, (), None, limit, provenance, card)
    folder = write_model(draft, study.places.local_models, None)
    rows = np.concatenate([held, defective])
    served = session(folder)(small(study.neu.images[rows], SIZE))
    return {
        "name": str(REF),
        "limit": round(limit, 4),
        "largest_difference": round(float(np.abs(served - scores[rows] / limit).max()), 6),
        "auroc": round(auroc(served[: len(held)], served[len(held) :]), 5),
    }
