"""What a line asks of the pipeline: frames, tiles and bytes a second, by its speed, its width and its cameras."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from stripwatch.cutting import starts
from stripwatch.domain.frame import MAX_PIXELS
from stripwatch.errors import BadInput

_ROUNDING = 1e-9
"""1650 / 0.1 is a hair more than 16,500: that is no column of its own."""


@dataclass(frozen=True, slots=True)
class Demand:
    """A strip of `width_mm` at `speed_m_per_s` under `cameras` grey cameras a side, side by side without overlap.

    A frame has `frame_px` rows; it is cut into squares of `tile_px`, one every `stride_px`, as the worker cuts it.
    """

    speed_m_per_s: float
    width_mm: float
    mm_per_px: float
    sides: int = 1
    cameras: int = 1
    frame_px: int = 200
    tile_px: int = 200
    stride_px: int = 200

    def __post_init__(self) -> None:
        if self.frame_px * self.camera_px > MAX_PIXELS:
            raise BadInput(
                f"frame: expected at most {MAX_PIXELS} px, got {self.frame_px} x {self.camera_px}: "
                "take more cameras a side, or fewer rows a frame"
            )

    @property
    def rows_per_s(self) -> float:
        return self.speed_m_per_s * 1000 / self.mm_per_px

    @property
    def camera_px(self) -> int:
        """Columns of one camera: its share of the strip's width."""
        return ceil(self.width_mm / self.mm_per_px / self.cameras - _ROUNDING)

    @property
    def frames_per_camera_s(self) -> float:
        return self.rows_per_s / self.frame_px

    @property
    def frames_per_s(self) -> float:
        """Of all cameras of all sides."""
        return self.frames_per_camera_s * self.cameras * self.sides

    @property
    def tiles_per_frame(self) -> int:
        return tiles_in(self.frame_px, self.camera_px, self.tile_px, self.stride_px)

    @property
    def tiles_per_s(self) -> float:
        return self.frames_per_s * self.tiles_per_frame

    @property
    def frame_bytes(self) -> int:
        """A raw frame: a byte a pixel."""
        return self.frame_px * self.camera_px

    @property
    def pixel_bytes_per_s(self) -> float:
        return self.frames_per_s * self.frame_bytes


def tiles_in(height_px: int, width_px: int, tile_px: int, stride_px: int) -> int:
    """How many tiles a frame full of strip is cut into."""
    return len(starts(0, height_px, tile_px, stride_px)) * len(starts(0, width_px, tile_px, stride_px))
