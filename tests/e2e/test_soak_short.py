"""The short forms of `make soak`, `make overload` and `make durability`: their books, none of their times."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from durability import trial
from killed_redis import on_disk
from overload import measure
from redis_servers import binaries
from soak import soak

SERVERS = pytest.mark.parametrize("server", binaries().values(), ids=[f"Redis {major}" for major in binaries()])


def test_a_long_run_is_accounted_for_to_the_frame_and_never_piles_up(tmp_path: Path) -> None:
    result = soak(5_000, tmp_path)
    account = result["account"]
    assert account["expected"] == 5_000 == account["judged"] + account["failed"]
    assert account["failed"] == account["dead_letters"] == 5
    assert account["defects_found"] == account["bright_frames"] == 10
    assert result["restarts"] == 0
    assert result["most_waiting"]["frames"] < 4_000
    assert (result["after_the_verdict"]["frames"], result["after_the_verdict"]["results"]) == (0, 0)


def test_five_times_more_frames_than_fit_are_shed_live_and_wait_in_a_replay_and_all_are_accounted_for(
    tmp_path: Path,
) -> None:
    result = measure(3.0, 1 << 20, 8.0, (5.0,), tmp_path)  # fails itself unless each verdict's account is the source's
    live, replay = result["live"]["5"]["frames"], result["replay"]["5"]["frames"]
    assert live["shed"] > 0
    assert live["offered"] == live["judged"] + live["shed"]
    assert replay["offered"] == replay["judged"]
    assert (live["lost"], replay["lost"]) == (0, 0)


@SERVERS
def test_a_redis_that_always_flushes_loses_nothing_that_it_acknowledged_when_it_is_killed(
    tmp_path: Path, server: str
) -> None:
    found = trial(server, "always", tmp_path, 2, random.Random(1), power_cut=False)
    assert found["starts"] > 0
    lost = ("absent", "starts_lost", "frames_lost", "verdicts_gone", "unread", "open_at_the_end", "cursors_lost")
    assert {name: found[name] for name in lost} == dict.fromkeys(lost, 0)


@SERVERS
def test_a_redis_without_a_file_loses_all_and_the_line_goes_on_with_verdicts_that_can_be_told_apart(
    tmp_path: Path, server: str
) -> None:
    found = trial(server, "off", tmp_path, 1, random.Random(2), power_cut=False)
    assert found["absent"] == found["starts"] > 0
    assert (found["ids_changed"], found["unread"], found["open_at_the_end"]) == (0, 0, 0)


def test_on_the_disk_is_what_was_written_before_the_last_flush_that_came_to_its_end_began() -> None:
    trace = """\
7 write(8, ""..., 100) = 100
9 fdatasync(8 <unfinished ...>
7 write(8, ""..., 30) = 30
9 <... fdatasync resumed>) = 0
7 write(8, ""..., 5) = 5
9 fdatasync(8 <unfinished ...>
7 +++ killed by SIGKILL +++
"""
    assert on_disk(trace) == (135, 100)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@SERVERS
def test_a_power_cut_takes_no_acknowledged_start_from_a_redis_that_always_flushes(tmp_path: Path, server: str) -> None:
    found = trial(server, "always", tmp_path, 1, random.Random(3), power_cut=True)
    assert found["starts"] > 0
    assert (found["absent"], found["starts_lost"], found["frames_lost"], found["verdicts_gone"]) == (0, 0, 0, 0)
