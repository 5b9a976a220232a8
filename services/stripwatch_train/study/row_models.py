"""Rows 1 to 4 as models that the anomaly service serves by name; built locally: NEU's licence is not stated."""

from __future__ import annotations

from torch import nn

from stripwatch.domain.model import ModelKind, ModelRef
from stripwatch_train.export import Draft
from stripwatch_train.results import command
from stripwatch_train.study.autoencoder import SIZE
from stripwatch_train.study.paper_rows import Row
from stripwatch_train.study.row_figures import HEALTHY, LIMIT
from stripwatch_train.study.row_scorers import Limited


def draft(row: Row, scorer: nn.Module, limit: float, seed: int, data_sha256: str) -> Draft:
    """The whole score in one graph, divided by `limit`; where the row equalises, the worker does it before."""
    ref = ModelRef(row.name, "1")
    provenance = {
        "data_sha256": data_sha256,
        "seed": seed,
        "command": command(),
        "licence": "trained on NEU images, whose licence is not stated: not for redistribution",
        "trained_on": f"NEU surface defect database, 80 % of `{HEALTHY}`",
        "metrics": {},
    }
    card = (
        f"# {ref}\n\nA row of the paper's Table 1, reproduced: {row.means}. It takes `{HEALTHY}` for healthy; 1.0 is "
        f"the {100 * LIMIT:.0f}th percentile of those that it was not trained on. Built on this machine to check the "
        "paper, not to inspect steel: `docs/paper.md` says how far it can be trusted.\n"
    )
    net = Limited(scorer, limit)
    return Draft(ref, ModelKind.ANOMALY, net, SIZE, (), None, limit, provenance, card, row.clahe)
