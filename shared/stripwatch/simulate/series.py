"""A series of simulated strips: which strip comes when, so that whoever knows the settings knows the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stripwatch.domain.camera import Side
from stripwatch.simulate.flaws import Flaw
from stripwatch.simulate.plan import StripPlan, plan_strip, truth


@dataclass(frozen=True, slots=True)
class StripSeries:
    """Strips of one size, seeded one after another.

    `defects` says how many flaws each strip has, over and over again: (0, 3) is a clean one, one with three, a clean
    one, ... Empty: every strip draws its own number.
    """

    seed: int
    length_mm: float
    width_mm: float
    mm_per_px: float
    sides: Sequence[Side] = (Side.TOP,)
    defects: Sequence[int] = ()

    def strip(self, number: int) -> str:
        """The name of strip `number`, counted from 0."""
        return f"sim-{self.seed + number}"

    def plan(self, number: int) -> StripPlan:
        return plan_strip(
            self.seed + number,
            length_mm=self.length_mm,
            width_mm=self.width_mm,
            mm_per_px=self.mm_per_px,
            defects=self.defects[number % len(self.defects)] if self.defects else None,
            sides=self.sides,
        )

    def truth(self, number: int) -> tuple[Flaw, ...]:
        """What is truly on strip `number`; it never travels with the frames."""
        return truth(self.plan(number))
