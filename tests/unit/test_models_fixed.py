"""Sizes that recur get a graph of their own, a few of them, and nobody waits for it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stripwatch.models.fixed import MOST, OFTEN, FixedSizes

LONG_S = 30.0
MODELS = Path(__file__).parent.parent.parent / "models"


class Maker:
    """Makes a graph once it is let, and says so."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.sizes: list[int] = []
        self.let, self.fault = threading.Event(), fault

    def __call__(self, rows: int) -> list[str]:
        self.sizes.append(rows)
        assert self.let.wait(LONG_S)
        if self.fault:
            raise self.fault
        return [f"{rows} on {engine}" for engine in range(2)]


def recur(sizes: FixedSizes[str], rows: int, times: int = OFTEN) -> None:
    for _ in range(times):
        assert sizes.of(rows, 0) is None


def wait_for_graphs() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("steel/1 x "):
            thread.join(LONG_S)


def test_a_size_that_recurs_gets_a_graph_for_each_engine_and_runs_go_on_meanwhile() -> None:
    make = Maker()
    sizes = FixedSizes("steel/1", make)
    recur(sizes, 15)
    recur(sizes, 15, 10)  # it is being made
    make.let.set()
    wait_for_graphs()
    assert [sizes.of(15, 0), sizes.of(15, 1), sizes.of(14, 0)] == ["15 on 0", "15 on 1", None]
    assert make.sizes == [15]


def test_a_size_that_is_rare_gets_none() -> None:
    make = Maker()
    sizes = FixedSizes("steel/1", make)
    recur(sizes, 15, OFTEN - 1)
    assert make.sizes == []


def test_only_the_first_few_sizes_get_graphs() -> None:
    make = Maker()
    make.let.set()
    sizes = FixedSizes("steel/1", make)
    for rows in range(1, MOST + 3):
        recur(sizes, rows)
        wait_for_graphs()
    assert make.sizes == list(range(1, MOST + 1))
    assert sizes.of(MOST + 1, 0) is None


def test_a_graph_that_cannot_be_made_is_gone_without(caplog: pytest.LogCaptureFixture) -> None:
    make = Maker(RuntimeError("no memory"))
    make.let.set()
    sizes = FixedSizes("steel/1", make)
    recur(sizes, 15)
    wait_for_graphs()
    recur(sizes, 15)
    assert make.sizes == [15]
    assert "model steel/1: no graph for 15 rows" in caplog.text


def test_a_process_that_ends_while_a_graph_is_compiled_ends_well() -> None:
    code = f"""
import numpy as np
from pathlib import Path
from stripwatch.models.engines import builder
from stripwatch.models.load import load
from stripwatch.models.store import ModelStore
model = load(ModelStore([Path({str(MODELS)!r})]).find("steel-fast"), builder("openvino"))
for _ in range({OFTEN + 1}):
    model.engine.run(np.zeros((5, 1, 64, 64), np.uint8))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
