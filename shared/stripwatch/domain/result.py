"""What the preprocessing worker says about one frame: a score for each tile, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stripwatch.domain.box import Box
from stripwatch.domain.frame import FrameHeader

QUANTUM = 1e-4
"""Scores are whole multiples of this; decisions use nothing finer (engines differ by 1e-7 with the batch size)."""

MAX_TILES = 100_000
"""Tiles of one frame."""

MAX_MM2 = 10**12
"""Area of one frame: the most pixels at the most mm a pixel are less."""


class Outcome(StrEnum):
    """What became of a frame."""

    JUDGED = "judged"
    FAILED = "failed"
    """Its bytes are in the dead stream, with the reason."""


@dataclass(frozen=True, slots=True)
class TileScore:
    """The scores of one tile, in units of `QUANTUM`.

    `probabilities` follows the order of the classifier's classes and is empty where the classifier did not speak;
    `anomaly` is None where the anomaly scorer did not; 10,000 is its calibrated threshold.
    """

    box: Box
    probabilities: tuple[int, ...]
    anomaly: int | None
    crop: bytes = b""
    """JPEG of the tile, for a bounded number of a frame's flagged tiles."""


@dataclass(frozen=True, slots=True)
class FrameResult:
    """One frame's outcome.

    `inspected_mm2` is the strip area that tiles covered and `strip_mm2` the strip area in the frame, both whole
    mm² so that sums do not depend on their order. `models` are the `NAME/VERSION` that made the scores.
    """

    header: FrameHeader
    outcome: Outcome
    tiles: tuple[TileScore, ...] = ()
    classes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    inspected_mm2: int = 0
    strip_mm2: int = 0
    reason: str = ""
