"""Frames: one exposure of one camera, with its place on the strip and its pixels as sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stripwatch.domain.camera import Side
from stripwatch.domain.names import check_line, check_name
from stripwatch.errors import BadInput

MAX_INDEX = 2**27 - 1
"""Largest frame index: the bitmap of judged frames of one camera stays below 16 MiB."""

MAX_PIXELS = 64_000_000
"""Largest frame in pixels; checked against the header before anything is decoded."""


class Encoding(StrEnum):
    """How a frame's pixels are sent."""

    RAW = "raw"
    """height x width bytes, one grey channel."""
    PNG = "png"
    JPEG = "jpeg"


@dataclass(frozen=True, slots=True)
class RunId:
    """One pass of one strip under the cameras of one line."""

    line: str
    strip: str
    run: str

    def __post_init__(self) -> None:
        check_line(self.line)
        check_name("strip", self.strip)
        check_name("run", self.run)

    def __str__(self) -> str:
        return f"{self.line}/{self.strip}/{self.run}"


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """Everything about a frame but its pixels.

    Image rows run along the strip (row 0 nearest to the head) and columns across it. `x_mm` is the place of row 0
    from the strip's head, `y_mm` the place of column 0 from the operator-side edge (negative where the camera sees
    past that edge). `captured_at_ns` is UTC in nanoseconds since 1970.
    """

    run: RunId
    camera: str
    side: Side
    index: int
    x_mm: float
    y_mm: float
    mm_per_px: float
    captured_at_ns: int
    height: int
    width: int
    encoding: Encoding

    def __post_init__(self) -> None:
        check_name("camera", self.camera)
        if not 0 <= self.index <= MAX_INDEX:
            raise BadInput(f"frame index: expected 0 to {MAX_INDEX}, got {self.index}")
        if not 0 < self.mm_per_px < 100:
            raise BadInput(f"mm per px: expected more than 0 and less than 100, got {self.mm_per_px}")
        if not abs(self.x_mm) < 1e8 or not abs(self.y_mm) < 1e6:
            raise BadInput(f"frame place: expected finite mm on a strip, got x {self.x_mm}, y {self.y_mm}")
        if self.height <= 0 or self.width <= 0 or self.height * self.width > MAX_PIXELS:
            raise BadInput(
                f"frame size: expected at least 1 x 1 and at most {MAX_PIXELS} px, got {self.height} x {self.width}"
            )

    def __str__(self) -> str:
        return f"{self.run} {self.camera}[{self.index}]"


@dataclass(frozen=True, slots=True)
class Frame:
    """A header and the pixels in the header's encoding."""

    header: FrameHeader
    pixels: bytes


@dataclass(frozen=True, slots=True)
class IndexRange:
    """Frame indices `first` to `last`, both included."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last <= MAX_INDEX:
            raise BadInput(f"index range: expected 0 <= first <= last <= {MAX_INDEX}, got {self.first} to {self.last}")

    def __len__(self) -> int:
        return self.last - self.first + 1


def to_ranges(indices: list[int]) -> tuple[IndexRange, ...]:
    """Sorted, merged ranges of the given indices."""
    ranges: list[IndexRange] = []
    for index in sorted(set(indices)):
        if ranges and ranges[-1].last + 1 == index:
            ranges[-1] = IndexRange(ranges[-1].first, index)
        else:
            ranges.append(IndexRange(index, index))
    return tuple(ranges)
