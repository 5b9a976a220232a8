"""The commands of docs/backup.md, as they stand there, on a Redis under load; and what comes back of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_servers import Server, binaries, free_port, running, wait_for

import compat_cases
from compat_cases import DONE, LINE, RUNS, Crew
from stripwatch.domain.frame import RunId
from stripwatch.errors import CursorLost
from stripwatch.ports import LineState
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.stream import connect
from stripwatch.testing.golden import compare

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "backup.md"
DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0")
ABANDONED = RunId(LINE, "abandoned", "run-1")


@pytest.fixture(params=["7", "8"])
def binary(request: pytest.FixtureRequest) -> str:
    found = binaries()
    if request.param not in found:
        pytest.skip(f"no Redis {request.param} here (make system)")
    return found[request.param]


@pytest.fixture
def server(binary: str, tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "first").mkdir()
    with running(binary, tmp_path / "first", *DURABLE) as found:
        yield found


def commands() -> list[str]:
    """The page's blocks for a shell, in its order."""
    return re.findall(r"^ *```sh\n(.*?)^ *```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def run(command: str, **values: object) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("STRIPWATCH_")}
    env |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    env |= {name: str(value) for name, value in values.items()}
    return subprocess.run(["sh", "-euc", command], env=env, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_backup_taken_under_load_is_restored_by_the_pages_commands(
    binary: str, server: Server, tmp_path: Path
) -> None:
    backup, restore, close = commands()
    stream = connect(f"redis://127.0.0.1:{server.port}")
    compat_cases.leave_a_line(stream)
    line = stream.line(LINE)
    line.source.set_state(LineState.RUNNING)
    compat_cases.start(line, ABANDONED)
    file, over = tmp_path / "backup.rdb", threading.Event()

    def load() -> None:
        index = 0
        while not over.is_set():
            compat_cases.send(line, ABANDONED, range(index, index + 1))
            index += 1
            time.sleep(0.05)

    sending = threading.Thread(target=load)
    sending.start()
    taken = run(backup, BACKUP=file, REDIS=f"redis://127.0.0.1:{server.port}")
    over.set()
    sending.join()
    assert taken.returncode == 0, taken.stderr
    expected = Crew(stream).finish()  # what happens after the backup is lost
    assert set(expected) == {run.strip for run in RUNS}
    cursor = line.verdicts.latest()
    stream.close()
    server.process.kill()
    server.process.wait()

    data = tmp_path / "second"
    data.mkdir()
    restored = run(restore, BACKUP=file, DATA=data)
    assert restored.returncode == 0, restored.stderr
    with running(binary, data, *DURABLE) as second:
        url = f"redis://127.0.0.1:{second.port}"
        assert second.client().function_list() != []
        stream = connect(url)
        line = stream.line(LINE)
        assert [one.event.run for one in line.verdicts.since("", 10, 0)] == [DONE]
        with pytest.raises(CursorLost, match="lies beyond the stream's last id"):
            line.verdicts.since(cursor, 10, 0)
        assert set(line.runs.open_runs()) == {*RUNS, ABANDONED} - {DONE}
        crew = Crew(stream)
        crew.judge()
        crew.record()
        closed = run(close, REDIS=url)
        assert closed.returncode == 0, closed.stderr
        assert "abandoned/run-1 is ended" in closed.stdout
        got = crew.finish()
        for strip, verdict in expected.items():
            assert compare(verdict, got[strip]) is None
            assert verdict["id"] == got[strip]["id"]  # a repeat for whoever had it
        wait_for(lambda: crew.record() or line.verdicts.of(ABANDONED) is not None, "the abandoned run's verdict")
        abandoned = line.verdicts.of(ABANDONED)
        assert abandoned is not None
        assert {one.detail for one in decode_verdict(abandoned.event.body).cameras[0].lost} == {"source gone"}
        stream.close()
        before = second.client().xlen("sw:{line1}:verdicts")
        second.process.kill()
        second.process.wait()
    with running(binary, data, *DURABLE) as third:  # what it wrote since, it has beside the backup
        assert third.client().xlen("sw:{line1}:verdicts") == before == 5


def test_a_backup_of_nobody_leaves_no_file_and_a_whole_one_is_kept(tmp_path: Path) -> None:
    (backup, _, _), file = commands(), tmp_path / "backup.rdb"
    file.write_bytes(b"REDIS of yesterday")
    failed = run(backup, BACKUP=file, REDIS=f"redis://127.0.0.1:{free_port()}")
    assert failed.returncode != 0
    assert "Connection refused" in failed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["backup.rdb"]
    assert file.read_bytes() == b"REDIS of yesterday"


def test_a_restore_takes_no_other_file_and_touches_no_folder_that_holds_data(server: Server, tmp_path: Path) -> None:
    (backup, restore, _), file = commands(), tmp_path / "backup.rdb"
    assert run(backup, BACKUP=file, REDIS=f"redis://127.0.0.1:{server.port}").returncode == 0
    refused = run(restore, BACKUP=file, DATA=tmp_path / "first")
    assert refused.returncode == 1
    assert "expected a folder without data of Redis" in refused.stderr
    (tmp_path / "other").write_text("nothing of Redis")
    refused = run(restore, BACKUP=tmp_path / "other", DATA=tmp_path)
    assert refused.returncode == 1
    assert "expected what backup wrote" in refused.stderr
    assert server.client().ping()


def test_an_older_redis_refuses_a_newer_ones_backup_aloud(tmp_path: Path) -> None:
    found = binaries()
    if not {"7", "8"} <= set(found):
        pytest.skip("needs Redis 7 and 8 (make system)")
    (backup, restore, _), file = commands(), tmp_path / "backup.rdb"
    for name in ("newer", "older"):
        (tmp_path / name).mkdir()
    with running(found["8"], tmp_path / "newer") as newer:
        assert run(backup, BACKUP=file, REDIS=f"redis://127.0.0.1:{newer.port}").returncode == 0
    assert run(restore, BACKUP=file, DATA=tmp_path / "older").returncode == 0
    command = [found["7"], "--port", str(free_port()), "--dir", str(tmp_path / "older"), *DURABLE]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "Can't handle RDB format version" in ended.stdout


def test_where_redis_has_users_the_operator_takes_backups_and_no_service_does(tmp_path: Path) -> None:
    found = binaries()
    if not found:
        pytest.skip("no redis-server here")
    users, file = tmp_path / "users", tmp_path / "backup.rdb"
    made = run('deploy/redis/make-users "$USERS" redis:6379 operator aggregator', USERS=users)
    assert made.returncode == 0, made.stderr
    with running(next(iter(found.values())), tmp_path, "--aclfile", str(users / "users.acl"), *DURABLE) as server:
        for user, right in (("aggregator", False), ("operator", True)):
            command = f'REDISCLI_AUTH="$(cat users/{user}/password)" deploy/redis/backup "$BACKUP" -p {server.port}'
            taken = run(f"{command.replace('users/', f'{users}/')} --user {user}", BACKUP=file)
            assert (taken.returncode == 0, file.exists()) == (right, right), taken.stderr
