"""Scores of healthy steel, tile by tile, with the frame that each tile was cut from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Healthy:
    """N tiles of F frames. Tiles of one frame are alike, so whatever is said of chance counts frames."""

    scores: Floats  # (N,)
    frame: Rows  # (N,) 0 to F - 1
    frames: int

    @classmethod
    def of(cls, frames: Sequence[npt.NDArray[Any]]) -> Healthy:
        """One array of tile scores a frame, none of them empty."""
        owner = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
        return cls(np.concatenate([np.empty(0), *frames]), owner, len(frames))

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score: float) -> Rows:
        """(F,) tiles of each frame that score so much or more."""
        return np.bincount(self.frame[self.scores >= score], minlength=self.frames)

    @property
    def tops(self) -> Floats:
        """(F,) the highest score of each frame."""
        tops = np.full(self.frames, -np.inf)
        np.maximum.at(tops, self.frame, self.scores)
        return tops
