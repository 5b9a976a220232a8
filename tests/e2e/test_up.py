"""`stripwatch up` and `stripwatch demo` as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e_parts import until
from stripwatch.errors import StreamUnavailable
from stripwatch.local.state import UpState, read_state
from stripwatch.stream import connect

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, tiny_models: Path) -> Run:
    """`run("doctor", "--json")` in the folder of the test."""

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "stripwatch.cli", *arguments],
            cwd=tmp_path,
            env=environment(tiny_models),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return command


@pytest.fixture
def up(tmp_path: Path, tiny_models: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A pipeline that `stripwatch up` runs in the folder of the test."""
    with (tmp_path / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "stripwatch.cli", "up", "--workers", "2"],
            cwd=tmp_path,
            env=environment(tiny_models),
            stdout=log,
            stderr=log,
        )
        until(lambda: process.poll() is not None or state_in(tmp_path) is not None, "stripwatch up")
        assert process.poll() is None, (tmp_path / "up.log").read_text()
        yield process
        process.kill()
        process.wait()


def environment(models: Path | None) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("STRIPWATCH_")}
    return env | ({"STRIPWATCH_MODELS": str(models)} if models else {})


def state_in(folder: Path) -> UpState | None:
    return read_state(folder / "var" / "stripwatch-up.json")


def answers(state: UpState) -> bool:
    stream = connect(state.redis_url, timeout_s=1.0)
    try:
        stream.ping()
    except StreamUnavailable:
        return False
    else:
        return True
    finally:
        stream.close()


def test_other_commands_find_what_up_runs_and_sigterm_stops_it_all(
    up: subprocess.Popen[bytes], run: Run, tmp_path: Path
) -> None:
    state = state_in(tmp_path)
    assert state is not None
    doctor = run("doctor", "--json")
    assert doctor.returncode == 0, doctor.stdout
    assert {one["level"] for one in json.loads(doctor.stdout)} == {"ok"}
    (truth,) = json.loads(run("simulate", "--clean", "--length-m", "1", "--json").stdout)
    assert truth["truth"] == []
    until(lambda: len(json.loads(run("verdicts", "--json").stdout)) == 1, "the verdict")
    assert run("up").returncode == 1
    up.send_signal(signal.SIGTERM)
    assert up.wait(60.0) == 0
    assert state_in(tmp_path) is None
    assert not answers(state)
    assert run("verdicts").returncode == 2


def test_nothing_outlives_a_killed_up(up: subprocess.Popen[bytes], tmp_path: Path) -> None:
    state = state_in(tmp_path)
    assert state is not None
    assert answers(state)
    up.kill()
    up.wait()
    until(lambda: not answers(state), "the end of Redis")
    assert state_in(tmp_path) is None


def test_the_demo_ends_with_0_when_its_verdicts_agree_with_the_truth(tmp_path: Path) -> None:
    """With the shipped models: what a new user sees first."""
    command = [sys.executable, "-m", "stripwatch.cli", "demo"]
    env = environment(None) | {name: os.environ[name] for name in ("STRIPWATCH_MODELS",) if name in os.environ}
    demo = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "3 of 3 verdicts agree with the truth" in demo.stdout
