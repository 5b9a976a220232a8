"""Children: kept alive, told apart, gone with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stripwatch.errors import StripwatchError
from stripwatch.local import ports as local_ports
from stripwatch.local import redis as local_redis
from stripwatch.local import supervisor as supervising
from stripwatch.local.child import Child, Spec
from stripwatch.local.state import UpState, read_state, remove_state
from stripwatch.local.supervisor import Supervisor

SLEEP = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)")

PARENT = """
import sys, time
from stripwatch.local.child import Child, Spec
child = Child(Spec("sleeper", (sys.executable, "-c", "import time; time.sleep(60)")), lambda name, line: None)
child.start()
print(child.pid, flush=True)
time.sleep(60)
"""


def until(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def tended(supervisor: Supervisor) -> bool:
    supervisor.tend()
    return True


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def test_the_last_words_of_a_child_are_its_last_line_alone() -> None:
    child = Child(Spec("talker", (sys.executable, "-c", "print('log'); print('why'); print(); exit(3)")), _ignore)
    assert child.last_words == "never started"
    child.start()
    assert child.wait(15.0)
    assert (child.reason, child.last_words) == ("failed with exit 3", "why")


def _ignore(_name: str, _line: str) -> None:
    """Output that the test does not look at."""


def test_a_child_dies_with_a_parent_that_was_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert not gone(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert until(lambda: gone(pid))


def test_output_comes_line_by_line_under_the_childs_name() -> None:
    said: list[tuple[str, str]] = []
    child = Child(Spec("talker", (sys.executable, "-c", "print('one'); print('two')")), lambda *line: said.append(line))
    child.start()
    assert child.wait(15.0)
    assert said == [("talker", "one"), ("talker", "two")]
    assert list(child.tail) == ["one", "two"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import os; os.kill(os.getpid(), 40)", "killed by signal 40"),
        ("import sys; sys.exit(3)", "failed with exit 3"),
        ("", "ended by itself (exit 0)"),
    ],
)
def test_an_end_is_told_in_words(code: str, reason: str) -> None:
    child = Child(Spec("one", (sys.executable, "-c", code)), lambda *_: None)
    assert child.reason == "never started"
    child.start()
    assert child.wait(15.0)
    assert child.reason == reason


def test_a_command_that_is_not_there_fails() -> None:
    child = Child(Spec("none", ("/nowhere/at-all",)), lambda *_: None)
    child.start()
    assert child.wait(15.0)
    assert child.code != 0
    assert "No such file" in " ".join(child.tail)


def test_a_killed_child_is_started_again_and_the_reason_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "FIRST_WAIT_S", 0.01)
    said: list[str] = []
    supervisor = Supervisor(lambda _, line: said.append(line))
    child = supervisor.start(Spec("worker", SLEEP))
    first = child.pid
    os.kill(first, signal.SIGKILL)
    assert until(lambda: tended(supervisor) and child.running and child.pid != first)
    assert "worker killed by SIGKILL; starting it again in 0.01 s" in said
    assert supervisor.restarts == 1
    supervisor.stop(["worker"], 5.0)
    supervisor.tend()
    assert not child.running


def test_waits_between_restarts_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "FIRST_WAIT_S", 0.001)
    said: list[str] = []
    supervisor = Supervisor(lambda _, line: said.append(line))
    supervisor.start(Spec("faulty", (sys.executable, "-S", "-c", "raise SystemExit(1)")))
    assert until(lambda: tended(supervisor) and len([line for line in said if "starting" in line]) >= 3)
    waits = [float(line.split()[-2]) for line in said if "starting" in line]
    assert waits[:3] == [0.001, 0.002, 0.004]
    supervisor.stop(["faulty"], 5.0)


def test_a_clean_end_is_left_alone_only_where_it_may_be() -> None:
    said: list[str] = []
    supervisor = Supervisor(lambda _, line: said.append(line))
    supervisor.start(Spec("source", (sys.executable, "-c", ""), may_end=True))
    assert until(lambda: tended(supervisor) and "source is done" in said)
    assert supervisor.restarts == 0


def test_what_does_not_stop_in_time_is_killed() -> None:
    said: list[str] = []
    supervisor = Supervisor(lambda _, line: said.append(line))
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    child = supervisor.start(Spec("deaf", (sys.executable, "-c", deaf)))
    assert until(lambda: bool(child.tail))
    supervisor.stop(["deaf"], 0.1)
    assert child.reason == "killed by SIGKILL"
    assert "deaf did not stop within 0.1 s: killed" in said


def test_no_redis_at_all_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("importlib.import_module", none)
    with pytest.raises(StripwatchError, match=r"pip install stripwatch\[demo\]"):
        local_redis.find_server()


def test_an_old_redis_on_path_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wheel:
        @staticmethod
        def get_redis_server() -> str:
            return "/wheel/redis-server"

    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/redis-server")
    monkeypatch.setattr(local_redis, "version_of", lambda _: (6, 2, 7))
    monkeypatch.setattr("importlib.import_module", lambda _: Wheel)
    assert local_redis.find_server() == "/wheel/redis-server"


def test_the_state_of_a_dead_pipeline_is_no_state(tmp_path: Path) -> None:
    place = tmp_path / "var" / "up.json"
    assert read_state(place) is None
    state = UpState(os.getpid(), "redis://h:1/0", ("line1",), "h:2", {"aggregator": "h:2"})
    state.write(place)
    assert place.stat().st_mode & 0o077 == 0
    assert read_state(place) == state
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    UpState(ended.pid, "redis://h:1/0", ("line1",), "h:2").write(place)
    assert read_state(place) is None
    place.write_text("[]")
    assert read_state(place) is None
    remove_state(place)
    assert not place.exists()


def test_two_processes_never_pick_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_ports, "FIRST", 31_000)
    monkeypatch.setattr(local_ports, "LAST", 31_060)
    ours = set(local_ports.free_ports(20))
    assert len(ours) == 20
    code = "from stripwatch.local import ports; ports.FIRST, ports.LAST = 31000, 31060; print(*ports.free_ports(20))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ours.isdisjoint(int(port) for port in other.stdout.split())
    with pytest.raises(StripwatchError, match="no 60 free ports"):
        local_ports.free_ports(60)
