"""The NEU surface defect images: pixels, classes, overlap groups, and where in an image the defect is."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import numpy.typing as npt

from stripwatch.datasets import open_dataset
from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.errors import BadInput, NotFound
from stripwatch.pixels import Image
from stripwatch_train.places import Places

SIZE = 200
PER_CLASS = 300
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
        """Read every image, from a folder or an archive; BadInput where they are not 300 of each class at 200x200."""
        dataset = open_dataset(places.neu)
        counts = Counter(place.label for place in dataset.places)
        if dataset.classes != NEU_CLASSES or any(counts[label] != PER_CLASS for label in (*NEU_CLASSES, *counts)):
            raise BadInput(f"NEU images in {places.neu}: expected {PER_CLASS} of each class, got {dict(counts)}")
        names = tuple(  # of one form, so that boxes, groups and lists of names fit in every spelling
            f"{NEU_CLASSES[label]}_{name.rpartition('_')[2]}"
            for label, name in zip(dataset.labels, dataset.names, strict=True)
        )
        groups = _groups(places.notes / "_overlap_groups.tsv")
        return cls(
            places,
            names,
            dataset.images(SIZE),
            dataset.labels,
            tuple(groups.get(name, name) for name in names),
            dataset.sha256,
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
        boxes = self.places.notes / "_annotations_voc" / f"{name}.xml"
        if not boxes.is_file():
            raise NotFound(f"NEU-DET's boxes: expected {boxes}, there is none")
        root = ET.parse(boxes)  # noqa: S314  a trusted local file
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
    """The group of each image by its name; none where nobody looked for overlaps."""
    if not file.is_file():
        return {}
    with file.open() as lines:
        return {Path(row["file"]).stem: row["group"] for row in csv.DictReader(lines, delimiter="\t")}
