"""Cameras over a line, and the side of the strip that each one sees."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stripwatch.domain.names import check_name
from stripwatch.errors import BadInput


class Side(StrEnum):
    """The side of the strip that a camera sees."""

    TOP = "top"
    BOTTOM = "bottom"


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera of a run: what it sees of the strip, as the start of the run declares it.

    `frame_length_mm` and `frame_width_mm` are the strip area that one of its frames covers; they stand in
    for frames that never came when coverage is worked out.
    """

    name: str
    side: Side
    frame_length_mm: float
    frame_width_mm: float

    def __post_init__(self) -> None:
        check_name("camera", self.name)
        if not (0 < self.frame_length_mm < 1e6 and 0 < self.frame_width_mm < 1e6):
            raise BadInput(
                f"camera {self.name}: expected a frame of more than 0 mm and less than 1 km, "
                f"got {self.frame_length_mm} x {self.frame_width_mm} mm"
            )

    @property
    def frame_area_mm2(self) -> int:
        """Area of strip in one frame, rounded to whole mm² so that sums do not depend on their order."""
        return round(self.frame_length_mm * self.frame_width_mm)
