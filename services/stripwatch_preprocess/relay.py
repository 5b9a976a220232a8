"""Scores of tiles that the classifier describes: the anomaly scorer takes its word in place of the tiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from stripwatch.errors import StripwatchError
from stripwatch.ports import Descriptors
from stripwatch_preprocess.ask import Ask


class Relay:
    """Asks by descriptors once the classifier has given them, and by tiles (None) as soon as its first try fails.

    Both ways give the same scores within the quantum; descriptors save a second run through the backbone.
    """

    def __init__(self, classifier: Ask, ask: Callable[[Descriptors | None], Ask]) -> None:
        self._classifier = classifier
        self._make = ask
        self._ask: Ask | None = None

    @property
    def scores(self) -> npt.NDArray[np.int32] | None:
        return self._ask.scores if self._ask else None

    @property
    def fault(self) -> StripwatchError | None:
        return self._ask.fault if self._ask else None

    def poll(self) -> bool:
        """Whether it is over, as an Ask's; before it asks, it waits for the classifier."""
        told = self._classifier.descriptors
        if self._ask is None and (told is not None or not self._classifier.describes):
            self._ask = self._make(told)
        return self._ask is not None and self._ask.poll()

    def cancel(self) -> None:
        if self._ask:
            self._ask.cancel()
