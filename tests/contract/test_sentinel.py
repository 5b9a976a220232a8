"""Fail-over: a primary that dies, steps down or stops, behind Sentinels and in a Cluster."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from redis_servers import Server, Watched, binaries, cluster_nodes, free_port, running, wait_for, watched

from stripwatch.domain.frame import RunId
from stripwatch.errors import BadInput, CursorLost, StreamUnavailable, StripwatchError
from stripwatch.ports import Event, Kind, LineStream, Outgoing
from stripwatch.stream import connect

Answer = TypeVar("Answer")
RUN = RunId("line1", "s1", "r1")
PATIENCE_S = 60


@pytest.fixture(params=["7", "8"])
def binary(request: pytest.FixtureRequest) -> str:
    found = binaries().get(request.param)
    if found is None:
        pytest.skip(f"no Redis {request.param} here (make system)")
    return found


@pytest.fixture
def plant(binary: str, tmp_path: Path) -> Iterator[Watched]:
    with watched(binary, tmp_path) as found:
        yield found


def insist(step: Callable[[], Answer]) -> Answer:
    """The step's answer, tried again while Redis is away: what every service does."""
    answers: list[Answer] = []

    def answered() -> bool:
        try:
            answers.append(step())
        except StreamUnavailable:
            return False
        return True

    wait_for(answered, "an answer after the fail-over", PATIENCE_S)
    return answers[0]


def begin(line: LineStream, frames: int = 3) -> None:
    line.source.start_run(RUN, b"start", cameras=["top"], live=False, deadline_ms=1000)
    line.source.publish([Outgoing(Kind.FRAME, RUN, f"h{number}".encode(), b"p") for number in range(frames)])


def verdict(line: LineStream, name: str) -> str:
    """Closes a run; the cursor behind its verdict."""
    run = RunId("line1", name, "r1")
    line.source.start_run(run, b"start", cameras=["top"], live=False, deadline_ms=1000)
    state = line.runs.state(run)
    assert state is not None
    assert line.runs.close(run, state.revision, Event(name, run, b"{}", b""))
    return line.verdicts.latest()


def replicated(server: Server) -> None:
    """Returns once every write so far is on the server's replica."""
    assert server.client().wait(1, 10_000) == 1


def test_a_primary_that_dies_is_followed_by_another_and_reads_go_on(plant: Watched) -> None:
    line = connect(plant.url, timeout_s=2.0).line("line1")
    begin(line)
    taken = line.frames.read("w", 2, 0)
    replicated(plant.primary)
    plant.primary.process.kill()
    wait_for(lambda: plant.named() == plant.replicas[0].port, "the fail-over", PATIENCE_S)

    assert insist(lambda: [entry.body for entry in line.frames.read("w", 10, 500)]) == [b"h1", b"h2"]
    assert [entry.id for entry in line.frames.claim("v", 0, 10)][:2] == [entry.id for entry in taken]
    line.source.publish([Outgoing(Kind.FRAME, RUN, b"h3", b"p")])
    assert [entry.body for entry in line.frames.read("w", 10, 0)] == [b"h3"]


def test_a_primary_that_stops_is_followed_by_another_and_is_not_gone_back_to(plant: Watched) -> None:
    line = connect(plant.url, timeout_s=2.0).line("line1")
    begin(line)
    replicated(plant.primary)
    plant.primary.process.send_signal(signal.SIGSTOP)
    assert insist(lambda: [entry.body for entry in line.frames.read("w", 1, 500)]) == [b"start"]
    plant.primary.process.send_signal(signal.SIGCONT)  # it takes itself for a primary still
    line.source.publish([Outgoing(Kind.FRAME, RUN, b"after", b"p")])
    assert plant.named() == plant.replicas[0].port
    assert plant.replicas[0].client().xlen("sw:{line1}:frames") == 5


def test_a_replica_that_is_promoted_has_our_functions(plant: Watched) -> None:
    connect(plant.url, timeout_s=2.0).line("line1")
    replicated(plant.primary)
    names = [library[1] for library in plant.replicas[0].client().function_list()]
    assert len(names) == 1
    assert names[0].startswith("stripwatch_")


def test_a_primary_that_is_asked_to_step_down_is_left(plant: Watched) -> None:
    line = connect(plant.url, timeout_s=2.0).line("line1")
    begin(line)
    replicated(plant.primary)
    plant.sentinels[0].client().sentinel_failover("steel")
    wait_for(lambda: plant.named() == plant.replicas[0].port, "the fail-over", PATIENCE_S)

    # Until the Sentinels have told the old primary, it takes writes that are lost: docs/redis.md says so.
    def arrives() -> bool:
        insist(lambda: line.source.publish([Outgoing(Kind.FRAME, RUN, b"after", b"p")]))
        return plant.replicas[0].client().xlen("sw:{line1}:frames") == 5

    wait_for(arrives, "a frame on the new primary", PATIENCE_S)
    assert b"after" in [entry.body for entry in line.frames.read("w", 10, 0)]


def test_a_primary_that_misses_its_replicas_takes_no_frame(plant: Watched) -> None:
    line = connect(plant.url, timeout_s=2.0).line("line1")
    begin(line)
    plant.primary.client().config_set("min-replicas-to-write", 1)
    plant.replicas[0].process.kill()
    plant.replicas[0].process.wait()
    wait_for(lambda: plant.primary.client().info("replication")["connected_slaves"] == 0, "the loss of the replica")
    with pytest.raises(StreamUnavailable, match="not ready: NOREPLICAS"):
        line.source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p")])


def test_a_cursor_that_the_new_primary_never_had_is_lost_aloud(plant: Watched) -> None:
    line = connect(plant.url, timeout_s=2.0).line("line1")
    kept = verdict(line, "kept")
    replicated(plant.primary)
    replica = plant.replicas[0]
    replica.process.send_signal(signal.SIGSTOP)
    plant.primary.client().execute_command("CLIENT KILL TYPE replica")  # nothing waits in its socket either
    lost = verdict(line, "lost")
    plant.primary.process.kill()
    replica.process.send_signal(signal.SIGCONT)
    wait_for(lambda: plant.named() == replica.port, "the fail-over", PATIENCE_S)

    with pytest.raises(CursorLost, match="beyond the stream's last id"):
        insist(lambda: line.verdicts.since(lost, 10, 0))
    assert line.verdicts.since(kept, 10, 0) == []
    assert [one.event.event_id for one in line.verdicts.since("", 10, 0)] == ["kept"]


def test_a_primary_turned_replica_is_unavailable_and_the_sentinels_are_asked_again(plant: Watched) -> None:
    """Its connections live on: only the refused write tells."""
    line = connect(plant.url, timeout_s=2.0).line("line1")
    begin(line)
    before = connections(plant.primary)
    plant.primary.client().replicaof("127.0.0.1", plant.replicas[0].port)
    with pytest.raises(StreamUnavailable):
        line.source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p")])
    plant.primary.client().replicaof("no", "one")
    insist(lambda: line.source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p")]))
    assert not before & connections(plant.primary)


def test_a_blocking_read_that_ends_because_its_server_turned_replica_is_unavailable(
    binary: str, tmp_path: Path
) -> None:
    """It ended a worker: Redis says UNBLOCKED, which was no word of ours (chaos seed 303, cluster)."""
    with running(binary, tmp_path) as server:
        line = connect(f"redis://127.0.0.1:{server.port}", timeout_s=10.0).line("line1")
        failed: list[Exception] = []

        def read() -> None:
            try:
                line.frames.read("w", 1, 8_000)
            except StripwatchError as error:
                failed.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        admin = server.client()
        wait_for(lambda: int(admin.info("clients")["blocked_clients"]) == 1, "a blocked reader")
        admin.replicaof("127.0.0.1", free_port())
        reader.join(20)
        assert [type(error) for error in failed] == [StreamUnavailable]


def connections(server: Server) -> set[str]:
    """The ids of our own."""
    return {one["id"] for one in server.client().client_list() if one["name"] == "stripwatch"}


def test_a_server_turned_replica_is_unavailable_at_a_plain_address(binary: str, tmp_path: Path) -> None:
    with running(binary, tmp_path) as server:
        line = connect(f"redis://127.0.0.1:{server.port}", timeout_s=2.0).line("line1")
        begin(line)
        server.client().replicaof("127.0.0.1", free_port())
        for refused in (
            lambda: line.source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p")]),
            lambda: line.frames.read("w", 1, 0),
        ):
            with pytest.raises(StreamUnavailable, match="not ready"):
                refused()
        server.client().replicaof("no", "one")
        line.source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p")])


def test_one_sentinel_is_enough_to_find_the_primary(plant: Watched) -> None:
    plant.sentinels[0].process.kill()
    plant.sentinels[1].process.send_signal(signal.SIGSTOP)
    connect(plant.url, timeout_s=2.0).line("line1")


def test_no_sentinel_that_answers_is_unavailable(plant: Watched) -> None:
    stream = connect(plant.url, timeout_s=1.0)
    for sentinel in plant.sentinels:
        sentinel.process.send_signal(signal.SIGSTOP)
    with pytest.raises(StreamUnavailable, match="no Sentinel names"):
        stream.ping()


def test_a_service_that_the_sentinels_do_not_know_is_unavailable(plant: Watched) -> None:
    with pytest.raises(StreamUnavailable, match="no Sentinel names"):
        connect(plant.url.replace("/steel", "/copper"), timeout_s=1.0).ping()


@pytest.mark.parametrize(
    "url", ["redis-sentinel://host", "redis-sentinel://host/steel/x", "redis-sentinel://:1,/steel", "redis://host:x"]
)
def test_an_address_that_misses_a_part_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BadInput, match="expected") as caught:
        connect(url.replace("://", "://user:secret@"))
    assert "secret" not in str(caught.value)


def test_a_cluster_goes_on_after_its_own_fail_over(binary: str, tmp_path: Path) -> None:
    with cluster_nodes(binary, tmp_path, replicas=3) as nodes:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        line = connect(f"redis-cluster://{hosts}", timeout_s=2.0).line("line1")
        begin(line)
        slot = nodes[0].client().cluster("KEYSLOT", "sw:{line1}:frames")
        owner = nodes[int(slot) // 5461]
        replicated(owner)
        owner.process.kill()

        assert len(insist(lambda: line.frames.read("w", 10, 500))) == 4
        insist(lambda: line.source.publish([Outgoing(Kind.FRAME, RUN, b"after", b"p")]))
        assert [entry.body for entry in line.frames.read("w", 10, 0)] == [b"after"]
