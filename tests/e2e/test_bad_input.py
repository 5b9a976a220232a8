"""A strip with bad images among good ones: each is named, kept, and accounted for; the others are judged."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from e2e_parts import Start
from stripwatch.domain.frame import RunId
from stripwatch.local.feeds import folder_settings

GOOD = np.full((200, 600), 60, np.uint8)


def write_strip(folder: Path) -> None:
    """Frames 0 and 5 are good; between them one truncated, one of 16 bits, one in colour, one that is no image."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    noise = (GOOD + rng.integers(0, 10, GOOD.shape)).astype(np.uint8)
    for number in (0, 5):
        cv2.imwrite(str(folder / f"{number}.png"), noise)
    cv2.imwrite(str(folder / "1.jpg"), noise)
    whole = (folder / "1.jpg").read_bytes()
    (folder / "1.jpg").write_bytes(whole[: len(whole) // 2])
    cv2.imwrite(str(folder / "2.png"), noise.astype(np.uint16) * 256)
    cv2.imwrite(str(folder / "3.png"), np.dstack([noise, GOOD, noise // 2]))
    (folder / "4.png").write_text("this is no image")


def test_bad_images_are_named_kept_and_accounted_for(start: Start, tmp_path: Path) -> None:
    write_strip(tmp_path / "coil")
    pipeline = start()
    pipeline.finish(pipeline.feed(folder_settings(tmp_path / "coil", "coil", "r1")), 60.0)
    verdict = json.loads(pipeline.verdict(RunId("line1", "coil", "r1")).event.json)["data"]
    [camera] = verdict["cameras"]
    lost = {loss["first"]: (loss["last"], loss["reason"], loss["detail"]) for loss in camera["lost"]}
    assert (camera["expected"], camera["judged"]) == (6, 2)
    assert [(last, reason) for last, reason, _ in lost.values()] == [
        (1, "failed"),
        (2, "failed"),
        (3, "failed"),
        (4, "shed"),
    ]
    assert "truncated" in lost[1][2]
    assert "expected 8 bits a sample, got 16" in lost[2][2]
    assert "expected grey, got colour" in lost[3][2]
    assert "4.png" in lost[4][2]
    assert (verdict["disposition"], verdict["isPartial"]) == ("review", True)
    letters = pipeline.line().dead.page(10)
    assert sorted(len(letter.entry.pixels) for letter in letters) == sorted(
        (tmp_path / "coil" / name).stat().st_size for name in ("1.jpg", "2.png", "3.png")
    )
