"""The boxes that NEU-DET's annotators drew: where each image's defects are said to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt

from stripwatch.errors import BadInput, NotFound

Boxes = npt.NDArray[np.float32]
"""(K, 4) left, top, right, bottom in pixels; right and bottom are the first pixel outside."""

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, slots=True)
class Truth:
    """Every image's boxes, and how many of them bear another class's name than their image."""

    boxes: tuple[Boxes, ...]
    misnamed: int

    @property
    def count(self) -> int:
        return sum(len(boxes) for boxes in self.boxes)


def read_truth(folder: Path, names: Sequence[str]) -> Truth:
    """The boxes of `folder/NAME.xml` (Pascal VOC: corners count from 1, both ends inside) for each name."""
    read = [_read(folder / f"{name}.xml", name.rpartition("_")[0]) for name in names]
    return Truth(tuple(boxes for boxes, _ in read), sum(misnamed for _, misnamed in read))


def _read(file: Path, label: str) -> tuple[Boxes, int]:
    if not file.is_file():
        raise NotFound(f"boxes: no {file}")
    corners: list[list[int]] = []
    misnamed = 0
    for thing in ET.parse(file).iter("object"):  # noqa: S314  a trusted local file
        found = [thing.findtext(f"bndbox/{key}", "") for key in _CORNERS]
        if not all(text.isdigit() for text in found):
            raise BadInput(f"{file}: expected four whole numbers in each bndbox, got {found}")
        left, top, right, bottom = map(int, found)
        corners.append([left - 1, top - 1, right, bottom])
        misnamed += thing.findtext("name") != label
    if not corners:
        raise BadInput(f"{file}: expected at least one box, got none")
    return np.array(corners, dtype=np.float32), misnamed
