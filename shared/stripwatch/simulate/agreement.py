"""A verdict's defects against the truth of a simulated strip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stripwatch.domain.defect import Defect
from stripwatch.simulate.flaws import Flaw

LEAST_MM = 20.0
"""The size, on its longer side, from which a flaw has to be found."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Each true flaw with the defect that names it (None: not found), and defects far from any flaw."""

    pairs: tuple[tuple[Flaw, Defect | None], ...]
    stray: tuple[Defect, ...]

    @property
    def missed(self) -> tuple[Flaw, ...]:
        """Flaws that should have been found and were not."""
        return tuple(
            flaw
            for flaw, defect in self.pairs
            if defect is None and max(flaw.box.length_mm, flaw.box.width_mm) >= LEAST_MM
        )

    @property
    def holds(self) -> bool:
        return not self.missed and not self.stray


def compare(flaws: Sequence[Flaw], defects: Sequence[Defect], tile_mm: float) -> Agreement:
    """A flaw is found where a defect of its class and side lies on it, give or take one tile.

    A defect is stray where no flaw of any class lies that near.
    """
    pairs = []
    for flaw in flaws:
        near = [one for one in defects if one.label == flaw.label and _near(flaw, one, tile_mm)]
        best = max(near, key=lambda one: (one.box.overlap_mm2(flaw.box), one.confidence or 0), default=None)
        pairs.append((flaw, best))
    stray = tuple(one for one in defects if not any(_near(flaw, one, tile_mm) for flaw in flaws))
    return Agreement(tuple(pairs), stray)


def _near(flaw: Flaw, defect: Defect, gap_mm: float) -> bool:
    return flaw.side == defect.side and flaw.box.touches(defect.box, gap_mm)
