"""Images with their classes, whatever they were stored as."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from stripwatch.datasets.decode import decode
from stripwatch.datasets.files import Files, open_files
from stripwatch.datasets.layout import Layout, Place, lay_out
from stripwatch.errors import BadInput
from stripwatch.pixels import Image


@dataclass(frozen=True)
class Dataset:
    """Images in the order of class and file name, so that the same files have the same order in every layout."""

    source: Path
    files: Files
    layout: Layout
    paths: tuple[str, ...]
    """Of each image, under the source."""
    places: tuple[Place, ...]
    """What each path says."""

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.layout.classes

    @cached_property
    def names(self) -> tuple[str, ...]:
        """File names without their suffix."""
        return tuple(PurePosixPath(path).stem for path in self.paths)

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        """(N,) index into `classes`. BadInput names the first image whose path says no class."""
        index = {label: number for number, label in enumerate(self.classes)}
        for path, place in zip(self.paths, self.places, strict=True):
            if not place.label:
                raise BadInput(f"{self.source}: {path}: expected {self.wanted}, the path says none")
        return np.array([index[place.label] for place in self.places], dtype=np.int64)

    @property
    def wanted(self) -> str:
        """What a path of this layout should say."""
        return "one of NEU's classes by folder or name" if self.layout.neu else "its class by the folder's name"

    @cached_property
    def sha256(self) -> str:
        """Over names and bytes of all files in order; for NEU the same in every layout of the same files."""
        digest = hashlib.sha256()
        for path, place in zip(self.paths, self.places, strict=True):
            file = PurePosixPath(path).name
            said = file if self.layout.neu else f"{place.label}/{file}"
            digest.update(said.encode() + b"\0" + self.read(path))
        return digest.hexdigest()

    def read(self, path: str) -> bytes:
        """A file's bytes; BadInput."""
        return self.files.read(path)

    def image(self, row: int) -> Image:
        """(H, W) uint8 of one image; BadInput names the file and what is wrong with it."""
        path = self.paths[row]
        return decode(path, self.read(path))

    def images(self, size: int) -> Image:
        """(N, size, size) uint8 of all; BadInput names the first that has another size."""
        out = np.empty((len(self), size, size), dtype=np.uint8)
        for row in range(len(self)):
            image = self.image(row)
            if image.shape != (size, size):
                raise BadInput(
                    f"{self.paths[row]}: expected {size} x {size} px, got {image.shape[0]} x {image.shape[1]}"
                )
            out[row] = image
        return out


def open_dataset(source: Path) -> Dataset:
    """The data set in a folder or archive; no image is decoded yet. BadInput where there are no images."""
    files = open_files(source)
    if not files.names:
        raise BadInput(f"{source}: expected images (bmp, jpg, png), there are none")
    layout = lay_out(files.names, files.empty)
    order = sorted(
        zip(files.names, layout.places, strict=True),
        key=lambda one: (one[1].label, PurePosixPath(one[0]).name, one[0]),
    )
    return Dataset(source, files, layout, tuple(path for path, _ in order), tuple(place for _, place in order))
