"""Model services behind a name: replicas that come get their share of the calls, those that go cost no frame."""

from __future__ import annotations

import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis_servers import free_port, wait_for

from name_server import name_server
from preprocess_process import Results, line_on_redis, send, service, start, worker_settings
from stripwatch.ports import LineStream
from stripwatch.rpc.health import SERVING, status
from tiny_models import write_model

LONG_S = 120.0
NAME = "classifier.test"
HOSTS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
"""Three machines on loopback: like pods behind a headless Service they have addresses of their own, and one port."""


@pytest.fixture
def line(tmp_path: Path) -> Iterator[LineStream]:
    write_model(tmp_path / "models")
    with line_on_redis(tmp_path) as found:
        start(found)
        yield found


@contextmanager
def replica(models: Path, host: str, port: int, page: int) -> Iterator[subprocess.Popen[str]]:
    """A classifier that is ready. Its clients look every second who else is there, so that the test need not wait."""
    settings = {"models": models, "health_host": host, "health_port": port, "metrics_port": page}
    settings |= {"connection_age_seconds": 1, "shutdown_delay_seconds": 1, "engine_workers": 1}
    with service("classifier", **settings) as process:
        wait_for(lambda: status(f"{host}:{port}", 1.0) == SERVING, f"the replica at {host}", LONG_S)
        yield process


def requests(host: str, page: int) -> float:
    """How many requests a replica was sent."""
    with urllib.request.urlopen(f"http://{host}:{page}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
        samples = [sample for family in families for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == "stripwatch_engine_queue_seconds_count")


class Load:
    """Frames without end: new ones as soon as those before were taken."""

    def __init__(self, line: LineStream) -> None:
        self.line = line
        self.results = Results(line)
        self.sent = 0

    def until(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + LONG_S
        while not condition():
            assert time.monotonic() < end, f"{what}: not within {LONG_S} s"
            if self.line.frames.backlog().waiting < 16:
                send(self.line, self.sent, 4)
                self.sent += 4
            self.results.count()

    def settled(self) -> None:
        """Each frame that was sent has been judged, once."""
        wait_for(lambda: self.results.all_judged(self.sent), f"{self.sent} judged frames", LONG_S)
        assert self.line.dead.page(10) == []


def test_from_one_replica_to_three_all_get_calls_and_back_to_one_no_frame_fails(
    line: LineStream, tmp_path: Path
) -> None:
    port, page, load = free_port(), free_port(), Load(line)
    with name_server({NAME: HOSTS[:1]}) as names, ExitStack() as stack:
        replicas = [stack.enter_context(replica(tmp_path / "models", HOSTS[0], port, page))]
        settings = worker_settings(tmp_path, port) | {"classifier_address": names.target(NAME, port)}
        worker = stack.enter_context(service("preprocess", **settings, plaintext="allowed"))
        load.until(lambda: load.results.count() > 16, "frames judged by one replica")

        replicas += [stack.enter_context(replica(tmp_path / "models", host, port, page)) for host in HOSTS[1:]]
        assert [requests(host, page) for host in HOSTS[1:]] == [0, 0]
        names.names[NAME] = HOSTS
        load.until(lambda: all(requests(host, page) > 0 for host in HOSTS[1:]), "calls at the new replicas")
        before = [requests(host, page) for host in HOSTS]
        load.until(
            lambda: all(requests(*one) > old for one, old in zip(pages(page), before, strict=True)), "a share each"
        )

        names.names[NAME] = HOSTS[:1]
        for one in replicas[1:]:
            one.send_signal(signal.SIGTERM)
        load.until(lambda: all(one.poll() is not None for one in replicas[1:]), "the end of two replicas")
        assert [one.returncode for one in replicas[1:]] == [0, 0]
        before = [requests(HOSTS[0], page)]
        load.until(lambda: requests(HOSTS[0], page) > before[0] + 4, "calls at the one that is left")
        load.settled()
        worker.send_signal(signal.SIGTERM)
        _, said = worker.communicate(timeout=LONG_S)
        assert worker.returncode == 0, said
        assert "is away" not in said


def pages(page: int) -> list[tuple[str, int]]:
    return [(host, page) for host in HOSTS]


def test_names_that_lag_behind_the_replicas_cost_no_frame(line: LineStream, tmp_path: Path) -> None:
    """A name may say for a while what was: a replica that went is still named, the only one that is there is not."""
    port, page, load = free_port(), free_port(), Load(line)
    with name_server({NAME: HOSTS[:1]}) as names, ExitStack() as stack:
        old = stack.enter_context(replica(tmp_path / "models", HOSTS[0], port, page))
        settings = worker_settings(tmp_path, port) | {"classifier_address": names.target(NAME, port)}
        stack.enter_context(service("preprocess", **settings, plaintext="allowed"))
        load.until(lambda: load.results.count() > 16, "frames judged by the old replica")
        stack.enter_context(replica(tmp_path / "models", HOSTS[1], port, page))
        old.send_signal(signal.SIGTERM)
        assert old.wait(LONG_S) == 0
        load.until(lambda: line.frames.backlog().waiting >= 16, "frames that wait")
        names.names[NAME] = HOSTS[1:2]
        load.settled()
        assert requests(HOSTS[1], page) > 0
