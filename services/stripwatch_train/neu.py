"""The NEU surface defect images: pixels, classes, overlap groups, and where in an image the defect is."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import numpy.typing as npt

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.errors import BadInput
from stripwatch.pixels import Image
from stripwatch_train.places import Places

SIZE = 200
MASKED = ("inclusion", "patches", "scratches")
"""Classes with pixel masks; the boxes of the other three are too loose to call the rest of the image healthy."""


@dataclass(frozen=True)
class Neu:
    """All images in the order of their names: `crazing_1` before `crazing_10` before `crazing_2`."""

    places: Places
    names: tuple[str, ...]
    images: Image  # (1800, 200, 200) uint8
    labels: npt.NDArray[np.int64]  # (1800,) index into NEU_CLASSES
    groups: tuple[str, ...]
    sha256: str

    @classmethod
    def load(cls, places: Places) -> Neu:
        """Read every image; BadInput names the first that is not 200x200 or not of the six classes."""
        files = sorted(f for name in NEU_CLASSES for f in (places.neu / name).glob("*.jpg"))
        if len(files) != len(NEU_CLASSES) * 300:
            raise BadInput(f"NEU images in {places.neu}: expected 6 x 300, got {len(files)}")
        digest = hashlib.sha256()
        for file in files:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        images = np.stack([_read(file) for file in files])
        labels = np.array([NEU_CLASSES.index(file.parent.name) for file in files])
        groups = _groups(places.neu / "_overlap_groups.tsv")
        return cls(
            places,
            tuple(file.stem for file in files),
            images,
            labels,
            tuple(groups.get(file.name, file.stem) for file in files),
            digest.hexdigest(),
        )

    @cached_property
    def defects(self) -> npt.NDArray[np.bool_]:
        """(1800, 200, 200) bool: where the boxes or the masks say the defect is."""
        return np.stack([self._defect(name) for name in self.names])

    def rows(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Indices of the named images."""
        place = {name: row for row, name in enumerate(self.names)}
        return np.array([place[name] for name in names], dtype=np.int64)

    def _defect(self, name: str) -> npt.NDArray[np.bool_]:
        label = name.rpartition("_")[0]
        marked = np.zeros((SIZE, SIZE), dtype=bool)
        root = ET.parse(self.places.neu / "_annotations_voc" / f"{name}.xml")  # noqa: S314  a trusted local file
        for box in root.iter("bndbox"):
            x0, y0, x1, y1 = (int(box.findtext(key, "0")) for key in ("xmin", "ymin", "xmax", "ymax"))
            marked[max(y0 - 1, 0) : y1, max(x0 - 1, 0) : x1] = True
        mask = self.places.masks / label / f"{name}.png"
        if mask.is_file():
            marked |= _read(mask) > 127
        return marked


def _read(file: Path) -> Image:
    image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if image is None or image.shape != (SIZE, SIZE):
        raise BadInput(f"{file}: expected a {SIZE}x{SIZE} image, got {None if image is None else image.shape}")
    return np.asarray(image, dtype=np.uint8)


def _groups(file: Path) -> dict[str, str]:
    with file.open() as lines:
        return {row["file"]: row["group"] for row in csv.DictReader(lines, delimiter="\t")}
