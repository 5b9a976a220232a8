"""Stages: what is found, what is missing, and when figures count as measured here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from stripwatch.errors import BadInput  # noqa: E402  only where there is torch
from stripwatch_train.mobilenet import MobileNetV2  # noqa: E402
from stripwatch_train.neu import Neu  # noqa: E402
from stripwatch_train.places import Places  # noqa: E402
from stripwatch_train.study.plots import Plots  # noqa: E402
from stripwatch_train.study.stage import Stage, found, missing, run  # noqa: E402
from stripwatch_train.study.stages import STAGES, stages  # noqa: E402
from stripwatch_train.study.study import Study  # noqa: E402


def tell(figures: dict[str, Any], plots: Plots) -> str:
    return f"## Counting\n\nThere are {figures['count']} images.\n"


STAGE = Stage("counting", lambda study: {"count": len(study.neu.images)}, tell)
OTHER = Stage("other", lambda _: {"count": 0}, tell)


@pytest.fixture(scope="module")
def backbone() -> MobileNetV2:
    torch.manual_seed(0)
    return MobileNetV2().eval()


@pytest.fixture
def study(backbone: MobileNetV2, tmp_path: Path) -> Study:
    (tmp_path / "neu").mkdir()
    places = Places(tmp_path, tmp_path)
    images = np.zeros((3, 200, 200), dtype=np.uint8)
    return Study(
        places, Neu(places, ("a", "b", "c"), images, np.zeros(3, np.int64), ("a", "b", "c"), "1" * 64), backbone
    )


@pytest.fixture
def elsewhere(study: Study) -> Callable[[], Study]:
    """The same repository with other images."""
    return lambda: replace(study, neu=replace(study.neu, sha256="2" * 64))


def test_a_stage_that_has_run_is_found_with_its_figures_and_where_they_come_from(study: Study) -> None:
    assert found(study, STAGE) is None
    run(study, STAGE)
    figures = found(study, STAGE)
    assert figures is not None
    assert figures["count"] == 3
    assert figures["data_sha256"] == study.neu.sha256
    assert figures["backbone_sha256"] == study.backbone_sha256
    assert {"command", "versions", "seconds"} <= figures.keys()
    assert figures == json.loads((study.results / "counting.json").read_text())


def test_only_stages_that_have_not_run_are_missing_and_in_their_order(study: Study) -> None:
    assert missing(study, [STAGE, OTHER]) == [STAGE, OTHER]
    run(study, STAGE)
    assert missing(study, [STAGE, OTHER]) == [OTHER]
    run(study, OTHER)
    assert missing(study, [STAGE, OTHER]) == []


def test_committed_figures_do_not_count_as_run_here(study: Study) -> None:
    run(study, STAGE)
    for marker in study.cache.glob("*.done"):
        marker.unlink()
    assert found(study, STAGE) is not None
    assert missing(study, [STAGE]) == [STAGE]


def test_a_stage_whose_figures_are_gone_runs_again(study: Study) -> None:
    run(study, STAGE)
    (study.results / "counting.json").unlink()
    assert missing(study, [STAGE]) == [STAGE]


def test_figures_of_other_images_are_not_found_and_leave_the_stage_missing(
    study: Study, elsewhere: Callable[[], Study]
) -> None:
    run(study, STAGE)
    assert found(elsewhere(), STAGE) is None
    assert missing(elsewhere(), [STAGE]) == [STAGE]
    run(elsewhere(), STAGE)
    assert missing(elsewhere(), [STAGE]) == []
    assert missing(study, [STAGE]) == [STAGE]


def test_figures_of_another_backbone_are_not_found(study: Study) -> None:
    run(study, STAGE)
    torch.manual_seed(1)
    other = replace(study, backbone=MobileNetV2().eval())
    assert found(other, STAGE) is None
    assert missing(other, [STAGE]) == [STAGE]


def test_a_stage_that_fails_leaves_neither_figures_nor_a_marker(study: Study) -> None:
    def refuse(study: Study) -> dict[str, Any]:
        raise BadInput("images: expected some, got none")

    failing = Stage("failing", refuse, tell)
    with pytest.raises(BadInput):
        run(study, failing)
    assert found(study, failing) is None
    assert missing(study, [failing]) == [failing]


def test_stages_come_in_the_order_of_the_page_and_an_unknown_one_is_refused() -> None:
    assert stages() == list(STAGES)
    assert [stage.name for stage in stages(["boxes", "rows"])] == ["rows", "boxes"]
    with pytest.raises(BadInput, match=r"expected one of rows, .*, got 'row'"):
        stages(["row"])
