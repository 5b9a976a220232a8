"""The models that ship: what they reach on what none of them has seen."""

from __future__ import annotations

from typing import Any

import onnx

from stripwatch.models.load import GRAPH
from stripwatch_train import report
from stripwatch_train.card import write_cards
from stripwatch_train.evaluate import THRESHOLDS
from stripwatch_train.export import sha256
from stripwatch_train.shipped import CONFIDENCE, PAIRS, Pair
from stripwatch_train.stocks import load_stocks
from stripwatch_train.study.shipped_page import tell
from stripwatch_train.study.stage import Stage
from stripwatch_train.study.study import Study

_AT = THRESHOLDS.index(CONFIDENCE)


def measure(study: Study) -> dict[str, Any]:
    """Both profiles on held-out images and unseen strips; their cards are written from the same figures."""
    stocks = load_stocks(study.places, study.neu)
    models = study.places.models
    profiles: dict[str, Any] = {}
    for pair in PAIRS:
        figures = report.measure(models, stocks, pair)
        write_cards(models, pair, figures, study.neu.sha256, _AT)
        profiles[pair.profile] = {
            "models": {str(ref): sha256(models / str(ref) / GRAPH) for ref in (pair.classifier, pair.scorer)},
            "parameters": _numbers(study, pair),
            "bytes": (models / str(pair.classifier) / GRAPH).stat().st_size,
            "summary": report.short(figures, _AT),
            **figures,
        }
    return {"shipped": profiles}


def _numbers(study: Study, pair: Pair) -> int:
    """Trained numbers in the classifier's graph, whatever their type."""
    graph = onnx.load(str(study.places.models / str(pair.classifier) / GRAPH)).graph
    return sum(int(onnx.numpy_helper.to_array(tensor).size) for tensor in graph.initializer)


STAGE = Stage("shipped", measure, tell)
