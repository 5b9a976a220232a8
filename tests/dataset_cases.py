"""Small data sets as a folder, a zip and a tar."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from stripwatch.pixels import Image

Pack = Callable[[Path, Mapping[str, bytes]], Path]


def picture(seed: int, height: int = 24, width: int = 24) -> Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), dtype=np.uint8)


def encoded(image: Image, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def folder(place: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = place / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return place / "set"


def zipped(place: Path, files: Mapping[str, bytes]) -> Path:
    path = place / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(place: Path, files: Mapping[str, bytes]) -> Path:
    path = place / "set.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name if name.startswith("/") else f"./{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path
