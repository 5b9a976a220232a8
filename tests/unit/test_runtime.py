"""Settings, logs, deadlines and the end of a process."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stripwatch.errors import DeadlineExceeded, SettingsInvalid
from stripwatch.runtime import lifecycle
from stripwatch.runtime.deadline import Deadline, backoff
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.runtime.logging import HumanFormatter, JsonFormatter
from stripwatch.runtime.settings import LineSettings, StreamSettings, load


def record(message: str, **fields: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": message, "levelname": "INFO", "levelno": logging.INFO, **fields})
    made.created = 0.0
    return made


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPWATCH_LINES", "finishing, roughing")
    assert load(LineSettings).lines == ("finishing", "roughing")


def test_a_secret_can_come_from_a_file_and_is_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("rediss://u:hunter2@host:1/0\n")
    monkeypatch.setenv("STRIPWATCH_REDIS_URL_FILE", str(secret))
    settings = load(StreamSettings)
    assert settings.redis_url.get_secret_value() == "rediss://u:hunter2@host:1/0"
    assert "hunter2" not in repr(settings)


def test_a_secret_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPWATCH_REDIS_URL_FILE", "/nowhere/url")
    with pytest.raises(SettingsInvalid, match="REDIS_URL_FILE: cannot read /nowhere/url"):
        load(StreamSettings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("LOG_LEVEL", "LOUD"), ("HEALTH_PORT", "70000"), ("REDIS_TIMEOUT_SECONDS", "0"), ("LINES", "a b"), ("LINES", "")],
)
def test_a_setting_out_of_its_range_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"STRIPWATCH_{name}", value)
    with pytest.raises(SettingsInvalid, match=f"STRIPWATCH_{name}"):
        load(LineSettings)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(StreamSettings).log_level = "DEBUG"


def test_a_log_line_is_one_line_whatever_it_is_told() -> None:
    for formatter in (JsonFormatter("svc"), HumanFormatter("svc")):
        text = formatter.format(record("strip accepted", strip="x\nlevel=ERROR forged \x1b[2J"))
        assert "\n" not in text
        assert "\x1b" not in text


def test_a_json_log_carries_its_fields() -> None:
    entry = json.loads(JsonFormatter("svc").format(record("done", line="line1", frames=3)))
    assert (entry["service"], entry["message"], entry["line"], entry["frames"]) == ("svc", "done", "line1", 3)


def test_a_deadline_runs_out_once_and_never_below_zero() -> None:
    assert Deadline.after(60).check("call") > 59
    gone = Deadline(time.monotonic() - 1)
    assert gone.left() == 0
    with pytest.raises(DeadlineExceeded, match="call"):
        gone.check("call")


def test_waits_grow_to_a_limit_with_jitter() -> None:
    waits = backoff(0.1, 1.0)
    taken = [next(waits) for _ in range(50)]
    assert all(0.05 <= wait <= 1.0 for wait in taken)
    assert max(taken[10:]) > 0.5


def test_a_wait_ends_when_the_process_is_told_to_stop() -> None:
    lifecycle = Lifecycle()
    lifecycle.stop()
    assert not lifecycle.running
    assert not lifecycle.sleep(60)


def test_a_loop_that_does_not_come_round_is_told_and_neither_one_that_waits_nor_one_that_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life, asked, go = Lifecycle(), threading.Event(), threading.Event()

    def loop() -> None:
        while life.running and not asked.is_set():
            asked.set()
            go.wait()

    def nap() -> None:
        life.sleep(3600)

    stuck, waiting = threading.Thread(target=loop), threading.Thread(target=nap)
    stuck.start()
    waiting.start()
    asked.wait()
    assert life.turning
    monkeypatch.setattr(lifecycle, "STUCK_S", 0.0)
    assert not life.turning
    go.set()
    stuck.join()
    assert life.turning
    life.stop()
    waiting.join()
    assert life.turning


NAPS = """
import os, signal, sys, threading, time
from stripwatch.runtime.lifecycle import Lifecycle
for _ in range(60):
    lifecycle = Lifecycle()
    lifecycle.listen()
    threading.Timer(0.002, os.kill, (os.getpid(), signal.SIGTERM)).start()
    while lifecycle.running:
        lifecycle.sleep(0.0005)
print("every nap ended")
"""


def test_a_signal_in_the_middle_of_a_wait_never_hangs() -> None:
    ended = subprocess.run([sys.executable, "-c", NAPS], capture_output=True, text=True, check=False, timeout=60)
    assert ended.stdout == "every nap ended\n", ended.stderr


PROGRAM = """
from stripwatch.errors import {error}
from stripwatch.runtime.lifecycle import main
def run():
    raise {error}("what went wrong")
main(run)
"""


@pytest.mark.parametrize(("error", "code"), [("BadInput", 2), ("SettingsInvalid", 2), ("StreamUnavailable", 1)])
def test_a_known_error_is_one_line_and_an_exit_code(error: str, code: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(error=error)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (code, "what went wrong\n")


def test_a_fault_of_ours_never_looks_like_a_clean_end() -> None:
    program = "from stripwatch.runtime.lifecycle import main\ndef run():\n    1 / 0\nmain(run)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 70
    assert "ZeroDivisionError" in ended.stderr


def test_a_process_keeps_what_it_freed_and_seldom_looks_for_cycles() -> None:
    code = """
import gc, resource
from stripwatch.runtime.memory import keep_freed
keep_freed()
bytearray(24 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    bytearray(24 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, gc.get_threshold()[0])
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    faults, threshold = map(int, answer.stdout.split())
    assert faults < 6_000  # one block has 6,144 pages, and each of the twenty would fault on all of them
    assert threshold == 50_000
