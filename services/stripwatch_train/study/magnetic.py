"""The magnetic-tile set: healthy and defective tiles of one source, with pixel masks (Huang et al. 2020,
doi:10.1007/s00371-018-1588-5)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from stripwatch.errors import BadInput, NotFound
from stripwatch.pixels import Image
from stripwatch_train.split import Rows

HEALTHY = "MT_Free"
DEFECTS = ("MT_Blowhole", "MT_Break", "MT_Crack", "MT_Fray", "MT_Uneven")
HELD_OUT = 0.2


@dataclass(frozen=True)
class Magnetic:
    """Images of many sizes, their folder's name, and where the defect is (none for healthy ones)."""

    images: tuple[Image, ...]
    labels: npt.NDArray[np.str_]
    masks: tuple[Image | None, ...]

    @classmethod
    def load(cls, folder: Path) -> Magnetic:
        """Every image in the order of its name; NotFound without the set."""
        files = [file for label in (HEALTHY, *DEFECTS) for file in sorted((folder / label).glob("*.jpg"))]
        if not files:
            raise NotFound(f"magnetic-tile set: no images in {folder}; the anomaly stage needs them")
        return cls(
            tuple(_grey(file) for file in files),
            np.array([file.parent.name for file in files]),
            tuple(_mask(folder, file) for file in files),
        )

    @property
    def defective(self) -> Rows:
        return np.flatnonzero(self.labels != HEALTHY)

    def split(self, seed: int) -> tuple[Rows, Rows]:
        """Healthy rows to learn from, and a fifth that is held out. No tile is in the set twice."""
        order = np.random.default_rng(seed).permutation(np.flatnonzero(self.labels == HEALTHY))
        held = round(HELD_OUT * len(order))
        return np.sort(order[held:]), np.sort(order[:held])


def _mask(folder: Path, file: Path) -> Image | None:
    if file.parent.name == HEALTHY:
        return None
    mask = next((folder / "_masks").rglob(f"{file.stem}.png"), None)
    return None if mask is None else _grey(mask)


def _grey(file: Path) -> Image:
    image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise BadInput(f"{file}: expected an image, it cannot be read")
    return np.asarray(image, dtype=np.uint8)
