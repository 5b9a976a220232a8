"""Defects: merged neighbouring tiles of one class, with their place and size."""

from __future__ import annotations

from dataclasses import dataclass

from stripwatch.domain.box import Box
from stripwatch.domain.camera import Side

NEU_CLASSES = ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")
"""The six classes of the NEU hot-rolled steel database (Song and Yan 2013, DOI 10.1016/j.apsusc.2013.09.002)."""

HEALTHY = "healthy"
"""The shipped classifier's class of defect-free steel."""

ANOMALY = "anomaly"
"""The class of a defect that only the anomaly scorer saw."""

UNKNOWN = "unknown"
"""The class of a defect that both services saw and that is of no class the classifier is sure of."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One defect of a verdict.

    `confidence` and `anomaly` are the highest of its tiles, in units of 1e-4 (`QUANTUM`); `anomaly` is None where
    the anomaly service did not speak.
    """

    label: str
    side: Side
    box: Box
    confidence: int | None
    anomaly: int | None
    tiles: int
    cameras: tuple[str, ...]
