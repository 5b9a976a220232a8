"""`stripwatch up` against a Redis with a password: no secret in the command line or the output of what it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from redis_servers import binaries, running

from e2e_parts import until
from stripwatch.local.state import PLACE, read_state

PASSWORD = "hunter2-of-redis-hunter2"  # noqa: S105 - the ones to look for
CAMERA = "hunter2-of-camera-hunter2"
TOKEN = "hunter2-of-mes-hunter2"  # noqa: S105
SECRETS = (PASSWORD, CAMERA, TOKEN)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[int]:
    """The port of a Redis that asks for the password."""
    folder = tmp_path / "guarded"
    folder.mkdir()
    with running(next(iter(binaries().values())), folder) as server:
        server.client().config_set("requirepass", PASSWORD)
        yield server.port


def commands(pid: int) -> dict[int, list[str]]:
    """What everybody on the machine can read of a process and all below it; a source that just ended shows nothing."""
    seen = {}
    for one in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            seen[one.pid] = one.cmdline()
    return seen


def test_up_shows_no_secret_in_any_command_line_or_output(guarded: int, tmp_path: Path, tiny_models: Path) -> None:
    env = {
        "STRIPWATCH_MODELS": str(tiny_models),
        "STRIPWATCH_REDIS_URL": f"redis://default:{PASSWORD}@127.0.0.1:{guarded}/0",
        "STRIPWATCH_SOURCE": f"video:rtsp://operator:{CAMERA}@127.0.0.1:1/live",
        "STRIPWATCH_TOKENS": f"mes:{TOKEN}",
        "STRIPWATCH_LOG_LEVEL": "DEBUG",
    }
    log = tmp_path / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen(
            [sys.executable, "-m", "stripwatch.cli", "up"],
            cwd=tmp_path,
            env=os.environ | env,
            stdout=output,
            stderr=output,
        )
    try:
        until(lambda: up.poll() is not None or "rtsp" in log.read_text(), "the ingest")
        assert up.poll() is None, log.read_text()
        seen = commands(up.pid)
        services = {module for command in seen.values() for module in command if module.startswith("stripwatch_")}
        assert services >= {f"stripwatch_{name}" for name in ("preprocess", "classifier", "anomaly", "aggregator")}
        assert not [command for command in seen.values() for secret in SECRETS if secret in " ".join(command)]
        state = tmp_path / PLACE
        assert read_state(state) is not None
        assert state.stat().st_mode & 0o077 == 0  # it holds the address, for the user alone
    finally:
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0
    assert not [secret for secret in SECRETS if secret in log.read_text()]


def test_a_wrong_password_is_told_without_being_shown(guarded: int, tmp_path: Path) -> None:
    wrong = "hunter3-of-redis-hunter3"
    ended = subprocess.run(
        [sys.executable, "-m", "stripwatch_ingest"],
        env=os.environ
        | {
            "STRIPWATCH_REDIS_URL": f"redis://default:{wrong}@127.0.0.1:{guarded}/0",
            "STRIPWATCH_START_SECONDS": "0",
            "STRIPWATCH_LOG_LEVEL": "DEBUG",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert f"127.0.0.1:{guarded}" in ended.stderr
    assert "invalid username-password pair" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert wrong not in ended.stdout + ended.stderr
