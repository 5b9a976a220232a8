"""How the scores of tiles are spread, counted in bulk: a batch's, not a tile's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from stripwatch.domain.model import ModelKind, ModelSpec
from stripwatch.domain.result import QUANTUM

ANOMALY_BOUNDS = (
    *(0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9),
    *(1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0),
)
"""Finest where healthy steel lies: drift is looked for there."""
CONFIDENCE_BOUNDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)

Units = npt.NDArray[np.int32]


class _Spread:
    """One histogram of scores in units of QUANTUM."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._names = [*(str(bound) for bound in bounds), "+Inf"]
        self._bounds = np.array([round(bound / QUANTUM) for bound in bounds])
        self._counts = np.zeros(len(bounds) + 1, np.int64)
        self._sum = 0

    def saw(self, units: Units) -> None:
        """(N,)"""
        self._counts += np.bincount(np.searchsorted(self._bounds, units), minlength=len(self._counts))
        self._sum += int(units.sum(dtype=np.int64))

    def add_to(self, family: HistogramMetricFamily, model: str) -> None:
        upto = [float(count) for count in np.cumsum(self._counts)]
        family.add_metric([model], list(zip(self._names, upto, strict=True)), self._sum * QUANTUM)


class TileScores(Collector):
    """What the models said of tiles, by model."""

    def __init__(self) -> None:
        self._anomaly = defaultdict[str, _Spread](partial(_Spread, ANOMALY_BOUNDS))
        self._confidence = defaultdict[str, _Spread](partial(_Spread, CONFIDENCE_BOUNDS))
        self._labels: dict[str, tuple[Sequence[str], npt.NDArray[np.int64]]] = {}

    def saw(self, spec: ModelSpec, units: Units) -> None:
        """Of a classifier (N, classes), of an anomaly scorer (N,), where 10,000 is its threshold."""
        model = str(spec.ref)
        if spec.kind is ModelKind.ANOMALY:
            self._anomaly[model].saw(units)
            return
        self._confidence[model].saw(units.max(axis=1))
        if model not in self._labels:
            self._labels[model] = spec.classes, np.zeros(len(spec.classes), np.int64)
        _, counts = self._labels[model]
        counts += np.bincount(units.argmax(axis=1), minlength=len(counts))

    def collect(self) -> Iterable[Metric]:
        scores = HistogramMetricFamily(
            "stripwatch_tile_anomaly_score", "Anomaly scores of tiles; 1 is the model's threshold", labels=["model"]
        )
        confidences = HistogramMetricFamily(
            "stripwatch_tile_confidence", "Probability of each tile's most probable class", labels=["model"]
        )
        labels = CounterMetricFamily(
            "stripwatch_tile_labels", "Tiles by their most probable class", labels=["model", "label"]
        )
        for family, spreads in ((scores, self._anomaly), (confidences, self._confidence)):
            for model, spread in list(spreads.items()):
                spread.add_to(family, model)
        for model, (names, counts) in list(self._labels.items()):
            for name, count in zip(names, counts, strict=True):
                labels.add_metric([model, name], float(count))
        return [scores, confidences, labels]


TILE_SCORES = TileScores()
REGISTRY.register(TILE_SCORES)
