"""Models, as an engine runs them and as a caller of their service sees them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from stripwatch.domain.model import ModelSpec

Tiles = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]


class Engine(Protocol):
    """Runs one model's graph."""

    @property
    def name(self) -> str:
        """Name and version, as pinned with a run."""

    def __call__(self, tiles: Tiles) -> Scores:
        """Tiles (N, channels, size, size) to scores: (N, classes) probabilities or (N,) anomaly scores."""


class Scorer(Protocol):
    """A model service as its caller sees it: the classifier or the anomaly scorer."""

    def describe(self, model: str, timeout_s: float) -> ModelSpec:
        """The spec of NAME (its newest version) or NAME/VERSION. NotFound, PeerUnavailable, ModelNotReady."""

    def submit(self, spec: ModelSpec, tiles: Tiles, timeout_s: float) -> Pending:
        """Sends a batch off; does not wait."""


class Pending(Protocol):
    """A batch on its way."""

    def done(self) -> bool: ...

    def result(self) -> npt.NDArray[np.int32]:
        """Scores in units of QUANTUM, (N, classes) or (N,); waits for them, raises what the service answered."""

    def cancel(self) -> None: ...
