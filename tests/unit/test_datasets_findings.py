"""`stripwatch data check`: each kind of fault is found, named, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from dataset_cases import Pack, encoded, folder, picture, tarred, zipped
from stripwatch.cli.main import app
from stripwatch.datasets import Fault, check, open_dataset

GOOD = {
    f"{label}/{n}.png": encoded(picture(10 * seed + n)) for seed, label in enumerate(("dent", "fine")) for n in (1, 2)
}


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["data", "check", *arguments], env={"COLUMNS": "100"})


def found(place: Path, **more: bytes) -> list[tuple[Fault, str]]:
    files = {**GOOD, **{name.replace("__", "/") + ".png": data for name, data in more.items()}}
    return [(one.fault, one.says) for one in check(open_dataset(folder(place, files))).findings]


def test_a_sound_set_has_no_findings(tmp_path: Path) -> None:
    report = check(open_dataset(folder(tmp_path, GOOD)))
    assert report.findings == ()
    assert report.classes == {"dent": 2, "fine": 2}
    assert report.sizes == {(24, 24): 4}


def test_one_picture_twice_is_a_duplicate_also_in_another_format(tmp_path: Path) -> None:
    files = {**GOOD, "fine/8.bmp": encoded(picture(11), ".bmp")}
    (one,) = check(open_dataset(folder(tmp_path, files))).findings
    assert one.fault is Fault.DUPLICATE
    assert one.paths == ("fine/1.png", "fine/8.bmp")


def test_a_duplicate_on_both_sides_of_a_split_says_so(tmp_path: Path) -> None:
    files = {f"{side}/dent/{n}.png": encoded(picture(1)) for n, side in enumerate(("train", "val"))}
    (one,) = check(open_dataset(folder(tmp_path, files))).findings
    assert one.says == "train/dent/0.png = val/dent/1.png; one in train and one in validation"


def test_one_picture_under_two_classes_is_a_conflict(tmp_path: Path) -> None:
    assert found(tmp_path, fine__9=GOOD["dent/1.png"]) == [
        (Fault.CONFLICT, "dent/1.png = fine/9.png: one picture under dent and fine")
    ]


def test_a_name_that_says_another_class_than_its_folder_is_a_conflict(tmp_path: Path) -> None:
    assert found(tmp_path, fine__dent_3=encoded(picture(30))) == [
        (Fault.CONFLICT, "fine/dent_3.png: its folder says fine, its name dent")
    ]
    neu = {f"{label}/{label}_1.png": encoded(picture(n)) for n, label in enumerate(("crazing", "patches"))}
    (one,) = (
        finding
        for finding in check(
            open_dataset(folder(tmp_path / "neu", {**neu, "patches/Sc_7.png": encoded(picture(9))}))
        ).findings
        if finding.fault is Fault.CONFLICT
    )
    assert one.says == "patches/Sc_7.png: its folder says patches, its name scratches"


def test_damaged_files_are_named_with_what_is_wrong(tmp_path: Path) -> None:
    jpeg = encoded(picture(40, 60, 60), ".jpg")
    faults = found(tmp_path, dent__cut=jpeg[: len(jpeg) // 2], dent__empty=b"", dent__text=b"none")
    assert [fault for fault, _ in faults] == [Fault.DAMAGED] * 3
    assert "dent/cut.png: JPEG: truncated" in faults[0][1]
    assert "dent/empty.png: expected a BMP, JPEG or PNG file, got one that begins with nothing" in faults[1][1]


def test_colour_and_16_bits_are_found_and_grey_stored_as_colour_is_not(tmp_path: Path) -> None:
    grey = cv2.cvtColor(picture(50), cv2.COLOR_GRAY2BGR)
    colour = grey.copy()
    colour[..., 0] = 255 - colour[..., 0]
    deep = np.asarray(picture(51), dtype=np.uint16) * 256
    faults = found(
        tmp_path,
        fine__grey=encoded(np.asarray(grey, dtype=np.uint8)),
        fine__colour=encoded(np.asarray(colour, dtype=np.uint8)),
        fine__deep=cv2.imencode(".png", deep)[1].tobytes(),
    )
    assert [fault for fault, _ in faults] == [Fault.NOT_GREY] * 2
    assert "channels differ by up to" in faults[0][1]
    assert "expected 8-bit grey, got 16-bit grey" in faults[1][1]


def test_the_commonest_size_is_the_right_one(tmp_path: Path) -> None:
    assert found(tmp_path, dent__small=encoded(picture(60, 20, 24))) == [
        (Fault.SIZE, "dent/small.png: 20 x 24 px, most are 24 x 24 px")
    ]


def test_many_sizes_are_one_finding(tmp_path: Path) -> None:
    files = {f"dent/{n}.png": encoded(picture(n, 20 + n, 20)) for n in range(9)}
    (one,) = check(open_dataset(folder(tmp_path, files))).findings
    assert one.says == "9 different sizes, the commonest 20 x 20 px (1 images)"


def test_a_class_without_images_is_found_in_a_folder_and_in_an_archive(tmp_path: Path) -> None:
    source = folder(tmp_path, GOOD)
    (source / "burr").mkdir()
    assert [one.says for one in check(open_dataset(source)).findings] == ["burr: no images"]
    neu = {f"{label}/{label}_1.png": encoded(picture(n)) for n, label in enumerate(("crazing", "patches"))}
    for pack in (zipped, tarred):
        says = [one.says for one in check(open_dataset(pack(tmp_path, neu))).findings]
        assert says == [
            f"{name}: no images" for name in ("inclusion", "pitted_surface", "rolled-in_scale", "scratches")
        ]


def test_the_command_says_what_to_do_and_its_exit_code_says_how_it_went(tmp_path: Path) -> None:
    source = folder(tmp_path, GOOD)
    assert run(str(source)).exit_code == 0
    assert "nothing found" in run(str(source)).stdout
    (source / "fine" / "9.png").write_bytes(GOOD["fine/1.png"])
    result = run(str(source))
    assert result.exit_code == 1
    assert "fine/1.png = fine/9.png" in result.stdout
    assert "duplicate: keep one" in result.stdout
    assert run(str(tmp_path / "nothing")).exit_code == 2


def test_for_machines_the_command_gives_all_findings(tmp_path: Path) -> None:
    files = {f"dent/{n}.png": b"none" for n in range(20)}
    source = str(folder(tmp_path, {**GOOD, **files}))
    assert "... and 10 more (--json lists all)" in run(source).stdout
    document = json.loads(run(source, "--json").stdout)
    assert len(document["findings"]) == 20
    assert document["findings"][0]["fault"] == "damaged"
    assert document["classes"] == {"dent": 20, "fine": 2}


def test_the_real_neu_has_one_picture_twice_and_nothing_else(neu: Path) -> None:
    (one,) = check(open_dataset(neu)).findings
    assert one.fault is Fault.DUPLICATE
    assert one.paths == ("patches/patches_101.jpg", "patches/patches_105.jpg")


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_is_checked_like_a_folder(pack: Pack, tmp_path: Path) -> None:
    archive = check(open_dataset(pack(tmp_path, {**GOOD, "fine/9.png": GOOD["dent/1.png"]})))
    assert [one.fault for one in archive.findings] == [Fault.CONFLICT]
