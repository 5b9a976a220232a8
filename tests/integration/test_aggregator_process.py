"""The aggregator as a process: real Redis, real gRPC, and what docs/mes.md shows."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import redis

from aggregator_cases import result
from aggregator_process import Aggregator, aggregator, feed, until
from stripwatch.domain.frame import RunId
from stripwatch.local.ports import free_ports
from stripwatch.local.redis import EmbeddedRedis
from stripwatch.ports import Done, Kind, LineStream, Outgoing
from stripwatch.rpc.codec.results import encode_result
from stripwatch.rpc.health import status
from stripwatch.rpc.v1 import frame_pb2
from stripwatch.rpc.v1 import verdict_pb2 as pb
from stripwatch.stream import connect

DOCS = Path(__file__).parents[2] / "docs"
VERDICTS = "sw:{line1}:verdicts"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def line(url: str) -> LineStream:
    """line1 as if new."""
    stream = connect(url)
    stream._client.do("FLUSHALL")
    return stream.line("line1")


def examples() -> dict[str, str]:
    """The fenced Python of docs/mes.md by the heading above it."""
    text = (DOCS / "mes.md").read_text(encoding="utf-8")
    found = re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return dict(found)


def run_example(name: str, url: str, address: str, folder: Path, lines: int) -> list[str]:
    """Runs an example as it stands until it has printed so many lines, then ends it."""
    environment = os.environ | {
        "STRIPWATCH_LINE": "line1",
        "STRIPWATCH_REDIS_URL": url,
        "STRIPWATCH_VERDICTS": address,
    }
    command = [sys.executable, "-c", examples()[name]]
    process = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    watchdog = threading.Timer(30, process.kill)
    watchdog.start()
    try:
        return [process.stdout.readline().strip() for _ in range(lines)]
    finally:
        watchdog.cancel()
        process.terminate()
        process.wait()


def refusal_of_example(name: str, url: str, address: str, folder: Path) -> str:
    """The sentence with which an example stops at its start."""
    ended = subprocess.run(
        [sys.executable, "-c", examples()[name]],
        env=os.environ | {"STRIPWATCH_LINE": "line1", "STRIPWATCH_REDIS_URL": url, "STRIPWATCH_VERDICTS": address},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    return ended.stderr


def test_each_example_for_the_mes_is_less_than_twenty_lines() -> None:
    assert list(examples()) == ["From Redis, with a consumer group", "By gRPC, with a cursor", "Looking up"]
    assert all(len(code.strip().splitlines()) < 20 for code in examples().values())


def test_the_examples_for_the_mes_run_as_they_stand(url: str, line: LineStream, tmp_path: Path) -> None:
    with aggregator(url) as one:
        feed(line, "strip1")
        feed(line, "strip2", defects=2)
        until(lambda: len(line.verdicts.since("", 10, 0)) == 2, "two verdicts")
        expected = ["strip1 accept 0", "strip2 reject 2"]
        for name in ("From Redis, with a consumer group", "By gRPC, with a cursor"):
            assert run_example(name, url, one.address, tmp_path, 2) == expected
        feed(line, "strip3")
        for name in ("From Redis, with a consumer group", "By gRPC, with a cursor"):
            assert run_example(name, url, one.address, tmp_path, 1)[0] in ("strip3 accept 0", "strip2 reject 2")
        listed = run_example("Looking up", url, one.address, tmp_path, 3)
        assert listed[1:] == ["strip2 DISPOSITION_REJECT", "strip1 DISPOSITION_ACCEPT"]


def test_a_group_whose_next_verdicts_are_gone_stops_loudly_and_goes_on_where_it_is_told(
    url: str, line: LineStream, tmp_path: Path
) -> None:
    client = redis.Redis.from_url(url)
    name = "From Redis, with a consumer group"
    with aggregator(url) as one:
        for number in range(4):
            feed(line, f"strip{number}")
        until(lambda: len(line.verdicts.since("", 10, 0)) == 4, "four verdicts")
        ids = [published.cursor for published in line.verdicts.since("", 10, 0)]

        def group_stands_at(place: str) -> None:
            for consumer in client.xinfo_consumers(VERDICTS, "mes"):
                client.xgroup_delconsumer(VERDICTS, "mes", consumer["name"])
            client.xgroup_setid(VERDICTS, "mes", place)

        client.xdel(VERDICTS, ids[0])  # a new group begins with the oldest one kept
        assert run_example(name, url, one.address, tmp_path, 1) == ["strip1 accept 0"]
        group_stands_at(ids[1])
        assert run_example(name, url, one.address, tmp_path, 1) == ["strip2 accept 0"]
        group_stands_at(ids[1])
        client.xdel(VERDICTS, ids[2])
        assert "what came next is gone" in refusal_of_example(name, url, one.address, tmp_path)
        group_stands_at(ids[2])
        assert run_example(name, url, one.address, tmp_path, 1) == ["strip3 accept 0"]
        group_stands_at("99999999999999-0")
        assert "this is another Redis" in refusal_of_example(name, url, one.address, tmp_path)


def test_a_lost_cursor_says_what_was_missed_and_where_to_go_on(url: str, line: LineStream) -> None:
    with aggregator(url) as one:
        for number in range(3):
            feed(line, f"strip{number}")
        until(lambda: len(line.verdicts.since("", 10, 0)) == 3, "three verdicts")
        first, second, third = line.verdicts.since("", 10, 0)
        redis.Redis.from_url(url).xdel(VERDICTS, first.cursor, second.cursor)
        with pytest.raises(grpc.RpcError) as lost:
            next(one.watch(first.cursor))
        said = lost.value.details()
        assert lost.value.code() is grpc.StatusCode.OUT_OF_RANGE
        assert re.search(r"those from 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d to 20\S+ \S+ UTC are missed", said)
        (go_on,) = re.findall(r"cursor (\S+) goes on", said)
        assert next(one.watch(go_on)).cursor == third.cursor


def test_a_watcher_resumes_after_its_cursor_and_hears_what_comes(url: str, line: LineStream) -> None:
    with aggregator(url) as one:
        feed(line, "strip1")
        feed(line, "strip2")
        first = next(one.watch())
        watch = one.watch(first.cursor)
        assert next(watch).verdict.run.strip == "strip2"
        feed(line, "strip3", defects=1)
        third = next(watch)
        assert json.loads(third.event)["subject"] == third.verdict.run.strip == "strip3"
        with pytest.raises(grpc.RpcError) as lost:
            next(one.watch("99999999999999-0"))
        assert lost.value.code() is grpc.StatusCode.OUT_OF_RANGE
        assert one.end() == 0
        with pytest.raises(grpc.RpcError) as gone:
            next(watch)
        assert gone.value.code() is grpc.StatusCode.UNAVAILABLE


def test_more_watchers_than_allowed_are_refused_and_a_place_becomes_free(url: str, line: LineStream) -> None:
    with aggregator(url, MAX_WATCHERS="1") as one:
        feed(line, "strip1")
        first = one.watch()
        next(first)
        with pytest.raises(grpc.RpcError) as refused:
            next(one.watch())
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert [str(one.value) for one in refused.value.trailing_metadata() if one.key == "retry-after-ms"] == ["5000"]
        first.cancel()

        def served() -> bool:
            try:
                return bool(next(one.watch()).cursor)
            except grpc.RpcError:
                return False

        until(served, "a free place")


def test_get_and_list_answer_and_name_what_is_wrong(url: str, line: LineStream) -> None:
    with aggregator(url) as one:
        for number in range(5):
            feed(line, f"strip{number}")
        until(lambda: len(line.verdicts.since("", 10, 0)) == 5, "five verdicts")
        stub = one.stub()
        page = stub.List(pb.ListRequest(line="line1", page_size=3), timeout=10)
        rest = stub.List(pb.ListRequest(line="line1", page_size=3, page_token=page.next_page_token), timeout=10)
        assert [len(page.verdicts), len(rest.verdicts), rest.next_page_token] == [3, 2, ""]
        run = frame_pb2.RunId(line="line1", strip="strip3", run="run1")
        found = stub.Get(pb.GetRequest(run=run), timeout=10)
        assert (found.verdict.run, found.late) == (run, 0)
        line.source.publish([Outgoing(Kind.FRAME, RunId("line1", "strip3", "run1"), b"header", b"pixels")])
        [late] = line.frames.read("worker", 10, 0)
        line.work.finish([Done(late.id, Kind.RESULT, late.run, encode_result(result(0, run=late.run)))])
        until(lambda: stub.Get(pb.GetRequest(run=run), timeout=10).late == 1, "the late result is counted")
        refusals: list[tuple[Callable[[], object], str]] = [
            (lambda: stub.Get(pb.GetRequest(run=frame_pb2.RunId(line="line1", strip="x", run="y"))), "NOT_FOUND"),
            (lambda: stub.Get(pb.GetRequest()), "INVALID_ARGUMENT"),
            (lambda: stub.List(pb.ListRequest(line="line9")), "NOT_FOUND"),
            (lambda: stub.List(pb.ListRequest(line="line1", page_size=501)), "INVALID_ARGUMENT"),
            (lambda: stub.List(pb.ListRequest(line="line1", page_token="no cursor")), "INVALID_ARGUMENT"),  # noqa: S106
        ]
        for call, code in refusals:
            with pytest.raises(grpc.RpcError) as refused:
                call()
            assert refused.value.code().name == code


def test_killed_aggregators_leave_exactly_one_verdict_a_run(url: str, line: LineStream) -> None:
    runs = [f"strip{number}" for number in range(12)]
    for number, strip in enumerate(runs):
        with aggregator(url, CLAIM_IDLE_SECONDS="0.2", BATCH="3") as one:
            feed(line, strip, frames=40, defects=number % 3)
            if number < 4:
                one.end(signal.SIGKILL)
                continue
            for later in runs[number + 1 :]:
                feed(line, later, frames=40)
            until(lambda: not line.runs.open_runs(), "all verdicts")
            break
    verdicts = line.verdicts.since("", 100, 0)
    assert sorted(published.event.run.strip for published in verdicts) == sorted(runs)
    assert all(json.loads(published.event.json)["data"]["coverage"] == 1 for published in verdicts)
    assert line.results.backlog().waiting == 0


def test_a_redis_that_is_down_at_start_is_waited_for(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    one = Aggregator(f"redis://127.0.0.1:{port}/0")
    try:
        until(lambda: status(one.address, 1, "") == "NOT_SERVING", "an answer")
        until(lambda: any(f"127.0.0.1:{port}" in text for text in one.log), "a line that names the address")
        assert one.process.poll() is None
        assert one.end() == 0
    finally:
        one.process.kill()
