"""NEU as the trainer reads it: one order and one hash, whatever it is stored as."""

from __future__ import annotations

import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from dataset_cases import encoded, picture, zipped
from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.errors import BadInput, NotFound
from stripwatch_train.neu import Neu
from stripwatch_train.places import Places


def test_neu_in_an_archive_is_the_same_as_in_its_folder(neu: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "neu.tar.gz", "w:gz", compresslevel=1) as archive:
        for label in NEU_CLASSES:
            archive.add(neu / label, f"NEU-DET/{label}")
    here, packed = Neu.load(Places(neu.parent)), Neu.load(Places(tmp_path))
    assert here.sha256 == packed.sha256 == "f3d852f414bf9c070945e49f6217423f778986eafac2fc9333bf3d0da53f8434"
    assert here.names == packed.names
    assert np.array_equal(here.images, packed.images)
    assert np.array_equal(here.labels, packed.labels)
    assert len(set(here.groups)) == 1043
    assert packed.groups == packed.names
    with pytest.raises(NotFound, match="NEU-DET's boxes: expected"):
        _ = packed.defects


def test_short_names_become_the_long_ones(tmp_path: Path) -> None:
    data = encoded(cv2.resize(picture(1), (200, 200)).astype(np.uint8), ".bmp")
    short = ("Cr", "In", "Pa", "PS", "RS", "Sc")
    zipped(tmp_path, {f"{head}_{n}.bmp": data for head in short for n in range(1, 301)}).rename(tmp_path / "neu.zip")
    found = Neu.load(Places(tmp_path))
    assert found.names[:3] == ("crazing_1", "crazing_10", "crazing_100")
    assert found.names[-1] == "scratches_99"


def test_too_few_images_are_counted(tmp_path: Path) -> None:
    zipped(tmp_path, {"Cr_1.bmp": encoded(picture(1), ".bmp")}).rename(tmp_path / "neu.zip")
    with pytest.raises(BadInput, match=r"expected 300 of each class, got \{'crazing': 1\}"):
        Neu.load(Places(tmp_path))
