"""Data sets: the same images by folder or archive, in every spelling; what is unsafe or damaged is refused."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from dataset_cases import Pack, encoded, folder, picture, tarred, zipped
from stripwatch.datasets import open_dataset
from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.errors import BadInput

SHORT = ("Cr", "In", "Pa", "PS", "RS", "Sc")


PACKS = [folder, zipped, tarred]
SPELLINGS = {
    "folders": [f"{label}/{label}_{{}}.jpg" for label in NEU_CLASSES],
    "flat, short": [f"{short}_{{}}.bmp" for short in SHORT],
    "below a folder": [f"NEU-CLS/{short}_{{}}.bmp" for short in SHORT],
    "split": [f"NEU-DET/train/images/{label}/{label}_{{}}.jpg" for label in NEU_CLASSES],
    "spaced": ["Rolled-in Scale/{}.png" if "_scale" in label else f"{label}/{{}}.png" for label in NEU_CLASSES],
}


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_neu_has_its_six_classes_in_every_spelling(pack: Pack, spelling: list[str], tmp_path: Path) -> None:
    files = {
        pattern.format(number): encoded(picture(6 * number + label), pattern[-4:])
        for label, pattern in enumerate(spelling)
        for number in (1, 2, 10)
    }
    dataset = open_dataset(pack(tmp_path, files))
    assert dataset.layout.neu
    assert dataset.classes == NEU_CLASSES
    assert dataset.labels.tolist() == [label for label in range(6) for _ in range(3)]
    assert [name.rpartition("_")[2] for name in dataset.names[:3]] == ["1", "10", "2"]
    assert dataset.images(24).shape == (18, 24, 24)


@pytest.mark.parametrize("spelling", ["folders", "split"])
def test_the_same_files_have_one_order_and_one_hash_in_every_layout(spelling: str, tmp_path: Path) -> None:
    content = {f"{label}_{n}.jpg": encoded(picture(n), ".jpg") for label in NEU_CLASSES for n in (1, 2)}
    (tmp_path / "flat").mkdir()
    flat = open_dataset(zipped(tmp_path / "flat", content))
    patterns = SPELLINGS[spelling]
    laid = {patterns[NEU_CLASSES.index(name[:-6])].format(name[-5]): data for name, data in content.items()}
    for pack in PACKS:
        dataset = open_dataset(pack(tmp_path, laid))
        assert dataset.names == flat.names
        assert dataset.sha256 == flat.sha256
        assert np.array_equal(dataset.images(24), flat.images(24))


@pytest.mark.parametrize("pack", PACKS)
def test_folders_are_classes_and_what_begins_with_a_dot_or_underscore_is_none(pack: Pack, tmp_path: Path) -> None:
    files = {
        "Imgs/dent/1.png": encoded(picture(1)),
        "dent/Imgs/2.png": encoded(picture(2)),
        "fine/3.JPG": encoded(picture(3), ".jpg"),
        "_masks/dent/1.png": encoded(picture(4)),
        "__MACOSX/fine/._3.png": b"finder",
        "fine/notes.txt": b"none",
    }
    dataset = open_dataset(pack(tmp_path, files))
    assert dataset.classes == ("dent", "fine")
    assert dataset.labels.tolist() == [0, 0, 1]


def test_sides_of_a_split_are_told_by_their_folders(tmp_path: Path) -> None:
    dataset = open_dataset(
        folder(tmp_path, {"train/dent/1.png": encoded(picture(1)), "val/dent/2.png": encoded(picture(2))})
    )
    assert [place.split for place in dataset.places] == ["train", "validation"]


def test_an_image_without_a_class_is_refused_where_labels_are_wanted(tmp_path: Path) -> None:
    dataset = open_dataset(folder(tmp_path, {"1.png": encoded(picture(1)), "dent/2.png": encoded(picture(2))}))
    with pytest.raises(BadInput, match=r"1\.png: expected its class by the folder's name, the path says none"):
        _ = dataset.labels


def test_another_size_than_wanted_is_named(tmp_path: Path) -> None:
    dataset = open_dataset(folder(tmp_path, {"dent/2.png": encoded(picture(2, 24, 20))}))
    with pytest.raises(BadInput, match=r"dent/2\.png: expected 24 x 24 px, got 24 x 20"):
        dataset.images(24)


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", ["../outside/1.png", "/etc/1.png", "dent/../../1.png", "..\\1.png", "C:/1.png"])
def test_an_archive_whose_paths_lead_out_of_it_is_refused(pack: Pack, name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected paths inside the archive"):
        open_dataset(pack(tmp_path, {name: encoded(picture(1))}))


def test_a_link_in_a_tar_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("dent/1.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(BadInput, match="got a link or device"):
        open_dataset(path)


def test_a_bomb_that_claims_to_be_small_is_never_unpacked_beyond_its_claim(tmp_path: Path) -> None:
    path = zipped(tmp_path, {"dent/1.png": b"\0" * (100 << 20)})
    data = path.read_bytes()
    path.write_bytes(data.replace((100 << 20).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    dataset = open_dataset(path)
    with pytest.raises(BadInput, match=r"dent/1\.png: cannot be read from the archive"):
        dataset.read("dent/1.png")


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_file_that_claims_more_than_any_image_needs_is_refused(pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected at most 64 MiB, got 65"):
        open_dataset(pack(tmp_path, {"dent/1.png": b"\0" * (65 << 20)}))


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_cut_archive_is_refused(pack: Pack, tmp_path: Path) -> None:
    path = pack(tmp_path, {f"dent/{n}.png": encoded(picture(n)) for n in range(40)})
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(BadInput, match=r"damaged or not readable|another kind of file"):
        open_dataset(path)


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    for source, why in ((tmp_path, "there are none"), (tmp_path / "notes.txt", "got another kind of file")):
        with pytest.raises(BadInput, match=why):
            open_dataset(source)
    with pytest.raises(BadInput, match="there is none"):
        open_dataset(tmp_path / "nothing")


def test_the_real_neu_has_the_hash_that_the_models_name(neu: Path) -> None:
    dataset = open_dataset(neu)
    assert len(dataset) == 1800
    assert dataset.sha256 == "f3d852f414bf9c070945e49f6217423f778986eafac2fc9333bf3d0da53f8434"
