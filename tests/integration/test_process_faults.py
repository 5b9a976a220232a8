"""Processes that are killed, stopped, slow or deaf: what they held is done by others, and no parent calls it a success.

Groups made late miss nothing, and a consumer with pending entries cannot leave: tests/contract.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
import redis
from redis_servers import free_port, wait_for

from model_services import Greys, ModelService, served
from preprocess_cases import POISON_GREY, RUN
from preprocess_process import GREYS, Results, line_on_redis, send, service, start, worker_settings
from stripwatch.domain.frame import RunId
from stripwatch.domain.result import Outcome
from stripwatch.errors import StripwatchError
from stripwatch.local import Pipeline
from stripwatch.local.feeds import simulator_settings
from stripwatch.ports import LineStream
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.simulate.series import StripSeries
from tiny_models import write_pair

FRAMES = "sw:{line1}:frames"
TILES_A_FRAME = 3
LONG = StripSeries(3_200_000, 20_000.0, 400.0, 0.5, defects=(0,))


@pytest.fixture
def line(tmp_path: Path) -> Iterator[LineStream]:
    with line_on_redis(tmp_path) as found:
        yield found


@pytest.fixture
def raw(line: LineStream, tmp_path: Path) -> redis.Redis:
    return redis.Redis.from_url((tmp_path / "url").read_text())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_pair(folder)
    return folder


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Pipeline]:
    with Pipeline(tmp_path_factory.mktemp("pipeline"), env={"STRIPWATCH_MODELS": str(models)}) as running:
        yield running


# A child that the kernel kills must not end its parent with exit code 0


@contextmanager
def command(folder: Path, models: Path, *arguments: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """`stripwatch ARGUMENTS` in a folder; what it says goes to `said` there."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("STRIPWATCH_")}
    env |= {f"STRIPWATCH_{name}": value for name, value in settings.items()} | {"STRIPWATCH_MODELS": str(models)}
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "stripwatch.cli", *arguments],
            cwd=folder,
            env=env,
            stdout=said,
            stderr=said,
            text=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(60)
            finally:
                process.kill()


def source_of(parent: subprocess.Popen[str]) -> int:
    """The process that runs ingest under a parent; 0 if there is none (yet)."""
    for child in psutil.Process(parent.pid).children(recursive=True):
        try:
            if child.cmdline()[1:3] == ["-m", "stripwatch_ingest"] and child.status() != psutil.STATUS_ZOMBIE:
                return child.pid
        except psutil.NoSuchProcess:
            continue
    return 0


def test_a_demo_whose_source_is_killed_fails(tmp_path: Path, models: Path) -> None:
    with command(tmp_path, models, "demo") as demo:
        wait_for(lambda: source_of(demo) > 0, "the source", 120)
        os.kill(source_of(demo), signal.SIGKILL)
        assert demo.wait(120) == 1
    assert "killed by SIGKILL" in (tmp_path / "said").read_text()


def test_simulated_strips_whose_source_is_killed_are_no_success(
    pipeline: Pipeline, models: Path, tmp_path: Path
) -> None:
    where = ("--redis", pipeline.redis_url, "--line", "line1")
    with command(tmp_path, models, "simulate", "--length-m", "20", "--speed", "1", *where) as simulate:
        wait_for(lambda: source_of(simulate) > 0, "the source", 120)
        os.kill(source_of(simulate), signal.SIGKILL)
        assert simulate.wait(120) == 1
    assert "stripwatch: ingest killed by SIGKILL" in (tmp_path / "said").read_text()


def test_a_feed_that_is_killed_is_a_fault_of_its_pipeline(pipeline: Pipeline) -> None:
    feed = pipeline.feed(simulator_settings(LONG, 1, "killed", speed=1.0))
    feed.kill()
    with pytest.raises(StripwatchError, match="killed by SIGKILL"):
        pipeline.finish(feed, 60.0)


def test_up_starts_a_killed_source_again_and_says_why(tmp_path: Path, models: Path) -> None:
    source = {"SOURCE": "simulator", "SIM_STRIPS": "0", "SPEED_M_PER_S": "0.5", "LENGTH_MM": "2000"}
    with command(tmp_path, models, "up", **source) as up:
        wait_for(lambda: source_of(up) > 0, "the source", 120)
        first = source_of(up)
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: source_of(up) not in (0, first), "the source's return", 60)
        assert "ingest killed by SIGKILL; starting it again in" in (tmp_path / "said").read_text()
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0


# Workers that die, sleep or are slow with frames in hand


@contextmanager
def worker(folder: Path, port: int, **settings: object) -> Iterator[subprocess.Popen[str]]:
    asks = {"consumer": "w1", "prefetch": 16, "in_flight": 16, "request_seconds": 30}
    given = {**worker_settings(folder, port), **asks, **settings}
    with service("preprocess", **given) as process:
        assert process.stderr
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield process


def holders(raw: redis.Redis) -> list[str]:
    """Whose the pending entries are, one name each."""
    return [one["consumer"].decode() for one in raw.xpending_range(FRAMES, "preprocess", "-", "+", 1000)]


def eight_frames_for_a_model_that_holds_them(line: LineStream) -> tuple[int, Results, ModelService]:
    """A port for the classifier, who counts results, and the classifier: it answers when its `hold` is set."""
    port, results, classifier = free_port(), Results(line), ModelService()
    classifier.hold.clear()
    start(line)
    send(line, 0, 8)
    return port, results, classifier


def test_workers_killed_while_they_take_over_stop_no_takeover(
    line: LineStream, raw: redis.Redis, tmp_path: Path
) -> None:
    port, results, classifier = eight_frames_for_a_model_that_holds_them(line)
    with served(classifier, port):
        for life in range(1, 4):
            name = f"w{life}"
            with worker(tmp_path, port, consumer=name) as process:
                wait_for(lambda name=name: name in holders(raw), "a takeover", 60)  # type: ignore[misc]
                process.kill()
        classifier.hold.set()
        with worker(tmp_path, port, consumer="last"):
            wait_for(lambda: results.all_judged(8), "8 judged frames", 120)
    assert line.dead.page(10) == []
    assert line.frames.backlog().waiting == 0


def test_a_worker_that_is_slow_or_sleeps_for_a_while_keeps_its_frames(
    line: LineStream, raw: redis.Redis, tmp_path: Path
) -> None:
    port, results, classifier = eight_frames_for_a_model_that_holds_them(line)
    with served(classifier, port), worker(tmp_path, port, claim_idle_seconds=6) as slow:
        wait_for(lambda: classifier.tiles == 8 * TILES_A_FRAME, "all frames at the model", 60)
        with worker(tmp_path, port, claim_idle_seconds=6, consumer="w2"):
            wait_for(lambda: "w2" in line.beats.alive()["preprocess"], "the other worker", 60)
            slow.send_signal(signal.SIGSTOP)
            time.sleep(1.5)  # shorter than the idle time
            slow.send_signal(signal.SIGCONT)
            time.sleep(8)  # a model call longer than the idle time
            assert set(holders(raw)) == {"w1"}
            classifier.hold.set()
            wait_for(lambda: results.all_judged(8), "8 judged frames", 120)
    assert classifier.tiles == 8 * TILES_A_FRAME  # nobody asked about them again


def test_a_worker_that_slept_through_the_takeover_of_its_frames_does_no_harm(
    line: LineStream, raw: redis.Redis, tmp_path: Path
) -> None:
    port, results, classifier = eight_frames_for_a_model_that_holds_them(line)
    with served(classifier, port), worker(tmp_path, port) as sleeper:
        wait_for(lambda: classifier.tiles == 8 * TILES_A_FRAME, "all frames at the model", 60)
        sleeper.send_signal(signal.SIGSTOP)
        classifier.hold.set()
        with worker(tmp_path, port, consumer="w2") as other:
            wait_for(lambda: results.all_judged(8), "8 judged frames", 120)
            other.send_signal(signal.SIGTERM)
            assert other.wait(60) == 0
        assert line.frames.backlog().waiting == 0
        sleeper.send_signal(signal.SIGCONT)  # with all answers in its sockets
        send(line, 8, 8)
        wait_for(lambda: results.all_judged(16), "16 judged frames, each once", 120)
        assert sleeper.poll() is None
    assert line.dead.page(10) == []


def test_a_frame_that_kills_its_worker_is_buried_and_takes_no_other_frame_along(
    line: LineStream, tmp_path: Path
) -> None:
    port, results, classifier = free_port(), Results(line), ModelService()
    workers: list[subprocess.Popen[str]] = []

    def kill_who_sends_poison(greys: Greys) -> None:
        if np.any(greys.round() == POISON_GREY):
            workers[-1].kill()
            workers[-1].wait()

    classifier.before = kill_who_sends_poison
    start(line)
    send(line, 0, 8, greys=[*GREYS, *GREYS, POISON_GREY, *GREYS, 40])
    with served(classifier, port), ExitStack() as stack:
        while results.count() < 8:
            assert len(workers) < 5, "it kills one worker after the other"
            settings = {"max_deliveries": 2, "claim_idle_seconds": 0.5}
            workers.append(stack.enter_context(worker(tmp_path, port, consumer=f"w{len(workers)}", **settings)))
            wait_for(lambda: workers[-1].poll() is not None or results.count() == 8, "an end", 120)
        assert workers[-1].poll() is None
    assert [one.returncode for one in workers[:-1]] == [-signal.SIGKILL] * 2
    failed = [result for result in results.found if result.outcome is Outcome.FAILED]
    assert [(one.header.index, one.reason) for one in failed] == [(4, "delivered 3 times without an outcome")]
    assert [letter.reason for letter in line.dead.page(10)] == ["delivered 3 times without an outcome"]


# A Redis that hangs


@pytest.mark.parametrize("how", ["stopped", "paused"])
def test_sigterm_ends_every_service_although_redis_hangs(
    line: LineStream, raw: redis.Redis, tmp_path: Path, how: str
) -> None:
    quick = {"redis_url": (tmp_path / "url").read_text(), "redis_timeout_seconds": 1, "drain_seconds": 2}
    source = {"line": "line1", "sim_strips": 0, "speed_m_per_s": 1, "live": "true", "recipe": "plain"}
    server = int(raw.info("server")["process_id"])
    with ExitStack() as stack:
        ingest = stack.enter_context(service("ingest", **quick, **source))
        processes = {
            "ingest": ingest,
            "preprocess": stack.enter_context(service("preprocess", **worker_settings(tmp_path, free_port()) | quick)),
            "aggregator": stack.enter_context(service("aggregator", **quick)),
        }
        wait_for(lambda: len(line.beats.alive()) == 3 and line.frames.backlog().waiting > 3, "all at work", 120)
        if how == "stopped":
            os.kill(server, signal.SIGSTOP)
        else:
            raw.client_pause(600_000)
        time.sleep(0.5)  # into their blocking reads
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        said = {name: process.communicate(timeout=60)[1] for name, process in processes.items()}
        os.kill(server, signal.SIGCONT)
    assert {name: process.returncode for name, process in processes.items()} == {
        "ingest": 1,
        "preprocess": 0,
        "aggregator": 0,
    }
    assert "were not delivered" in said["ingest"].splitlines()[-1]
    assert not any("Traceback" in text for text in said.values())


def test_a_redis_that_stops_for_eight_seconds_under_load_costs_nothing_but_time(pipeline: Pipeline) -> None:
    wait_for(lambda: free_of_sources(pipeline.line()), "the line", 60)
    feed = pipeline.feed(simulator_settings(LONG, 1, "stopped", speed=4.0))
    run = RunId("line1", LONG.strip(0), "stopped")

    def judged() -> int:
        state = pipeline.line().runs.state(run)
        return sum(int.from_bytes(one.judged).bit_count() for one in state.cameras.values()) if state else 0

    wait_for(lambda: judged() > 10, "frames judged", 60)
    server = pipeline.supervisor.children["redis"]
    server.send(signal.SIGSTOP)
    time.sleep(8)
    server.send(signal.SIGCONT)
    pipeline.finish(feed, 120.0)
    verdict = decode_verdict(pipeline.verdict(run, 120.0).event.body)
    assert (verdict.partial, verdict.coverage) == (False, 10_000)
    assert all(camera.judged == camera.expected for camera in verdict.cameras)
    assert pipeline.supervisor.restarts == 0


def free_of_sources(line: LineStream) -> bool:
    """Whether a replay may have the line: a killed source holds it for a while."""
    try:
        line.source.hold("probe", live=False, ttl_ms=1)
    except StripwatchError:
        return False
    return True


def test_the_backlog_is_right_where_redis_cannot_tell_its_lag(line: LineStream, raw: redis.Redis) -> None:
    start(line)
    send(line, 0, 9)
    taken = line.frames.read("w", 4, 0)
    ids = [entry_id for entry_id, _ in raw.xrange(FRAMES)]
    raw.xdel(FRAMES, ids[7])  # an entry that nobody was given
    (group,) = raw.xinfo_groups(FRAMES)
    assert group["lag"] is None
    backlog = line.frames.backlog()
    assert (backlog.waiting, backlog.pending) == (9, len(taken))
    assert RUN in line.runs.open_runs()
