"""Camera-ingest as a process on a real Redis: its end, its stop, its health, and a recording of what it sent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_client
from redis_servers import binaries, free_port, server, wait_for

from stripwatch.feed import FeedRules, owner_name
from stripwatch.ports import Done, Entry, Kind, LineStream
from stripwatch.recording import Consumers, Recorder, Recording, Replayer
from stripwatch.rpc.codec.frames import decode_end, decode_header
from stripwatch.rpc.health import status
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.stream import connect


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    found = binaries()
    if not found:
        pytest.skip("no redis-server here")
    with server(next(iter(found.values())), tmp_path_factory.mktemp("redis")) as port:
        yield port


@pytest.fixture
def line(port: int, request: pytest.FixtureRequest) -> Iterator[LineStream]:
    stream = connect(f"redis://127.0.0.1:{port}")
    yield stream.line(f"line-{abs(hash(request.node.name)) % 10**8}")
    stream.close()


def ingest(port: int, line: str, **values: str) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("STRIPWATCH_")}
    env |= {"STRIPWATCH_REDIS_URL": f"redis://127.0.0.1:{port}", "STRIPWATCH_LINE": line}
    env |= {"STRIPWATCH_LENGTH_MM": "500", "STRIPWATCH_WIDTH_MM": "100"}
    env |= {f"STRIPWATCH_{name.upper()}": value for name, value in values.items()}
    return subprocess.Popen([sys.executable, "-m", "stripwatch_ingest"], env=env, stderr=subprocess.PIPE, text=True)


def take(line: LineStream) -> list[Entry]:
    entries: list[Entry] = []
    while more := line.frames.read("test", 100, 0):
        line.work.finish([Done(entry.id, entry.kind, entry.run, entry.body) for entry in more])
        entries += more
    return entries


def test_a_finite_source_ends_with_0_and_has_sent_everything(port: int, line: LineStream) -> None:
    process = ingest(port, line.line, sim_strips="2", sides="top,bottom")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    entries = take(line)
    assert [entry.kind for entry in entries].count(Kind.START) == 2
    ends = [decode_end(entry.body) for entry in entries if entry.kind is Kind.END]
    frames = [decode_header(entry.body) for entry in entries if entry.kind is Kind.FRAME]
    assert len(ends) == 4
    assert len(frames) == sum(one.frames for one in ends)


def test_sigterm_in_mid_run_ends_the_run_and_frees_the_line(port: int, line: LineStream) -> None:
    health = free_port()
    process = ingest(port, line.line, sim_strips="0", speed_m_per_s="0.5", live="true", health_port=str(health))
    try:
        wait_for(lambda: line.frames.backlog().waiting >= 3, "three entries", 30)
        wait_for(lambda: status(f"127.0.0.1:{health}", 1.0) == "SERVING", "health", 30)
        assert list(line.beats.alive()) == ["ingest"]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    entries = take(line)
    assert [entry.kind for entry in entries].count(Kind.START) == [entry.kind for entry in entries].count(Kind.END)
    last = decode_end(entries[-1].body)
    sent = [entry for entry in entries if entry.kind is Kind.FRAME and entry.run == last.run]
    assert last.shed[0].reason == "source stopped"
    assert last.shed[0].frames.first == len(sent)
    line.source.hold("replay", live=False, ttl_ms=1)


def test_what_is_wrong_is_said_in_one_line(port: int, tmp_path: Path) -> None:
    process = ingest(port, "line1", source=f"folder:{tmp_path}")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert f"{tmp_path}: expected images" in errors
    assert "Traceback" not in errors
    process = ingest(free_port(), "line1", start_seconds="0.2")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "127.0.0.1" in errors.splitlines()[-1]
    assert "Traceback" not in errors


def test_a_run_recorded_on_redis_and_replayed_is_the_same_byte_for_byte(
    port: int, line: LineStream, tmp_path: Path
) -> None:
    recorder = Recorder(line, tmp_path / "a.mcap", owner_name(), runs=1)
    thread = threading.Thread(target=recorder.record, args=(Lifecycle(),), daemon=True)
    thread.start()
    probe = redis_client.Redis(port=port)
    wait_for(lambda: bool(probe.exists(f"sw:{{{line.line}}}:tap-lease")), "the tap's lease")
    process = ingest(port, line.line)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    thread.join(30)
    sent = take(line)
    recording = Recording(tmp_path / "a.mcap")
    assert [(one.entry.kind, one.entry.body, one.entry.pixels) for one in recording.entries()] == [
        (entry.kind, entry.body, entry.pixels) for entry in sent
    ]
    runs = Replayer(line, FeedRules(live=False), consumers=Consumers(())).replay(recording, Lifecycle())
    again = take(line)
    assert len(runs) == 1
    assert [entry.pixels for entry in again] == [entry.pixels for entry in sent]
