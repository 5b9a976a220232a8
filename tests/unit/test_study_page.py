"""The page of the study: filled paragraphs, and figures that are all in one file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from stripwatch_train.study.page import WIDTH, reflowed
from stripwatch_train.study.stages import STAGES, stages

RESULTS = Path(__file__).parent.parent.parent / "docs" / "results"


def test_a_paragraph_with_long_figures_in_it_is_filled_anew() -> None:
    text = "A first\nline that\nbreaks early " + "and goes on " * 20
    assert max(map(len, reflowed(text).split("\n"))) <= WIDTH
    assert reflowed(text).split() == text.split()


def test_tables_headings_and_plots_stay_as_they_are() -> None:
    text = "# Title\n\n| a | b |\n|---|---|\n| " + "x" * 200 + " | y |\n\n![plot](figures/a.png)"
    assert reflowed(text) == text


def test_list_items_are_filled_one_by_one() -> None:
    assert reflowed("- one\n  more\n- two") == "- one more\n- two"


def test_a_stage_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(Exception, match=r"expected one of rows, anomaly.*, got 'rosw'"):
        stages(["rosw"])


def test_the_joint_figures_hold_every_stage_and_what_the_paper_asks_for() -> None:
    joint = json.loads((RESULTS / "paper.json").read_text())
    for stage in STAGES:
        alone = json.loads((RESULTS / f"{stage.name}.json").read_text())
        assert joint[stage.name] == alone[stage.name]
        assert alone["command"].startswith("python -m stripwatch_train study")
        assert alone["data_sha256"] == joint["data_sha256"]
    assert set(joint["rows"]) == {"cae-mse", "cae-ssim", "cae-gmm", "clahe-cae", "mobilenetv2"}
    assert len(joint["rows"]["mobilenetv2"]["accuracy"]) == 5
    assert len(joint["classifier"]["accuracy_grouped_split"]) == 20
    assert len(joint["classifier"]["accuracy_random_split"]) == 20
    assert 0 < joint["anomaly"]["auroc_overall_mean"] <= 1
