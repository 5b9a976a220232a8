"""Models, as an engine runs them and as a caller of their service sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stripwatch.domain.model import ModelSpec

Tiles = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
"""(N, channels, size, size)"""
Descriptors = npt.NDArray[np.float32]
"""(N, width)"""
Maps = npt.NDArray[np.uint8]
"""(N, side, side), 255 = 1.0: how defective each cell of a tile looks."""
Scores = npt.NDArray[np.float32]
"""(N, classes) probabilities or (N,) anomaly scores"""
Outputs = tuple[npt.NDArray[np.float32], ...]
"""What a graph gives of N rows: the scores, then each of the extras that were asked for, (N, ...)."""


class Engine(Protocol):
    """Runs one graph."""

    @property
    def name(self) -> str:
        """Name and version, as pinned with a run."""

    def __call__(self, rows: Tiles | Descriptors) -> Scores:
        """The scores alone."""

    def run(self, rows: Tiles | Descriptors, extras: tuple[str, ...] = ()) -> Outputs:
        """The scores, and the graph's other outputs of these names."""

    def ready(self) -> str | None:
        """None if it could run now, otherwise why not; asks who runs it, if that is another process."""


class Scorer(Protocol):
    """A model service as its caller sees it: the classifier or the anomaly scorer."""

    def describe(self, model: str, timeout_s: float) -> ModelSpec:
        """The spec of NAME (its newest version) or NAME/VERSION. NotFound, PeerUnavailable, ModelNotReady."""

    def submit(
        self, spec: ModelSpec, tiles: Tiles, timeout_s: float, *, descriptors: bool = False, trace: str = ""
    ) -> Pending:
        """Sends a batch off; does not wait. `descriptors` asks for them beside the scores.

        `trace` is the context of what the call is a part of, empty unless its trace is taken.
        """

    def submit_descriptors(
        self, spec: ModelSpec, descriptors: Descriptors, timeout_s: float, *, trace: str = ""
    ) -> Pending:
        """As `submit`, with what a classifier on the same backbone said of the tiles in their place."""


class Pending(Protocol):
    """A batch on its way."""

    def done(self) -> bool: ...

    def when_done(self, wake: Callable[[], None]) -> None:
        """Calls `wake` once it is done, from a thread of its own or at once."""

    def result(self) -> npt.NDArray[np.int32]:
        """Scores in units of QUANTUM, (N, classes) or (N,); waits for them, raises what the service answered."""

    def descriptors(self) -> Descriptors:
        """Those that were asked for with the scores; waits and raises as `result`."""

    def cancel(self) -> None: ...
