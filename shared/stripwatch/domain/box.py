"""Places on the strip: boxes in mm from the strip's head (x) and its operator-side edge (y)."""

from __future__ import annotations

from dataclasses import dataclass

from stripwatch.errors import BadInput

_MOST_MM = 1e9
"""A thousand km: what is no place on a strip, or no number, is refused before anything is worked out from it."""


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-parallel place on the strip, in mm: x runs from the head to the tail, y from the operator-side edge."""

    x_mm: float
    y_mm: float
    length_mm: float
    width_mm: float

    def __post_init__(self) -> None:
        if not (0 <= self.length_mm < _MOST_MM and 0 <= self.width_mm < _MOST_MM):
            raise BadInput(f"box: expected length and width >= 0 mm, got {self.length_mm} x {self.width_mm}")
        if not (abs(self.x_mm) < _MOST_MM and abs(self.y_mm) < _MOST_MM):
            raise BadInput(f"box: expected finite mm on a strip, got x {self.x_mm}, y {self.y_mm}")

    @property
    def end_x_mm(self) -> float:
        return self.x_mm + self.length_mm

    @property
    def end_y_mm(self) -> float:
        return self.y_mm + self.width_mm

    @property
    def area_mm2(self) -> float:
        return self.length_mm * self.width_mm

    def union(self, other: Box) -> Box:
        """The smallest box that holds both."""
        x, y = min(self.x_mm, other.x_mm), min(self.y_mm, other.y_mm)
        return Box(x, y, max(self.end_x_mm, other.end_x_mm) - x, max(self.end_y_mm, other.end_y_mm) - y)

    def touches(self, other: Box, gap_mm: float = 0.0) -> bool:
        """Whether the two overlap, touch, or lie no more than `gap_mm` apart in both directions."""
        return (
            self.x_mm <= other.end_x_mm + gap_mm
            and other.x_mm <= self.end_x_mm + gap_mm
            and self.y_mm <= other.end_y_mm + gap_mm
            and other.y_mm <= self.end_y_mm + gap_mm
        )

    def overlap_mm2(self, other: Box) -> float:
        """The area that both cover, in mm²."""
        length = min(self.end_x_mm, other.end_x_mm) - max(self.x_mm, other.x_mm)
        width = min(self.end_y_mm, other.end_y_mm) - max(self.y_mm, other.y_mm)
        return max(length, 0.0) * max(width, 0.0)
