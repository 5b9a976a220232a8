"""The shipped users of Redis: each does all of its work, and nothing of another's."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from functions_text import commands, registered
from redis_servers import Server, binaries, cluster_nodes, free_port, running, wait_for, watched
from typer.testing import CliRunner

from stripwatch.cli.main import app
from stripwatch.domain.frame import RunId
from stripwatch.errors import Conflict, StreamRefused, StreamUnavailable
from stripwatch.ports import Done, Event, Kind, LineState, LineStream, Outgoing, Record, Recorded, standing
from stripwatch.stream import connect

DEPLOY = Path(__file__).parent.parent.parent / "deploy" / "redis"
SERVICES = ("ingest", "preprocess", "aggregator", "mes", "console", "recorder")
RUN = RunId("line1", "s1", "r1")
ABANDONED = RunId("line1", "s2", "r1")
FUNCTIONS = {
    "ingest": "start_run admit publish waited hold beat now",
    "preprocess": "finish bury pin keep excuse hand_back deliveries backlog leave sweep beat now",
    "aggregator": "record record_end acknowledge due postpone attempt close alarm oldest bury keep excuse hand_back "
    "deliveries backlog leave sweep beat now",
    "mes": "",
    "console": "requeue admit publish hold due oldest deliveries backlog now",
    "recorder": "start_run admit publish hold lease unlease backlog beat now",
}
"""What each user calls; a function that is new belongs to somebody."""


def made(folder: Path, port: int, *users: str) -> Path:
    """The ACL file as an operator makes it."""
    subprocess.run(["sh", DEPLOY / "make-users", folder, f"127.0.0.1:{port}", *users], check=True)
    return folder / "users.acl"


@dataclass(frozen=True)
class Plant:
    folder: Path
    cluster: bool

    def url(self, user: str) -> str:
        return (self.folder / user / "url").read_text().strip()

    def line(self, user: str) -> LineStream:
        url = self.url(user)
        return connect(url.replace("redis://", "redis-cluster://") if self.cluster else url).line("line1")

    def raw(self, user: str) -> redis.Redis | redis.RedisCluster:
        kind = redis.RedisCluster if self.cluster else redis.Redis
        return kind.from_url(self.url(user), decode_responses=True, driver_info=None)


@pytest.fixture(scope="module", params=["7", "8", "cluster"])
def plant(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    found = binaries()
    binary = found.get(request.param) or (found and request.param == "cluster" and found[max(found)])
    if not binary:
        pytest.skip(f"no Redis {request.param} here (make system)")
    folder, home = tmp_path_factory.mktemp("users"), tmp_path_factory.mktemp("redis")
    if request.param == "cluster":
        with cluster_nodes(binary, home) as nodes:
            acl = made(folder, nodes[0].port, "operator", *SERVICES)
            for node in nodes:
                admit(node, acl)
            yield Plant(folder, cluster=True)
    else:
        port = free_port()
        acl = made(folder, port, "operator", *SERVICES)
        with running(binary, home, "--aclfile", str(acl), port=port):
            yield Plant(folder, cluster=False)


def admit(node: Server, acl: Path) -> None:
    """What loading the file would do: the nodes were started without it, to meet each other."""
    client = node.client()
    for user in reversed(acl.read_text().splitlines()):  # `default` last: it is who speaks here
        client.execute_command("ACL SETUSER", *user.split()[1:])


@pytest.fixture
def lines(plant: Plant) -> Callable[[str], LineStream]:
    """The line as a user sees it; the functions are there, and the line is empty."""
    raw = plant.raw("operator")
    raw.flushall()
    plant.line("aggregator")
    return plant.line


def begin(line: LineStream, run: RunId = RUN, frames: int = 3) -> None:
    line.source.start_run(run, b"start", cameras=["top"], live=True, deadline_ms=60_000)
    line.source.publish([Outgoing(Kind.FRAME, run, b"h", b"p" * 1000)] * frames + [Outgoing(Kind.END, run, b"end")])


def judge(line: LineStream) -> None:
    for entry in line.frames.read("w", 100, 0):
        line.work.finish([Done(entry.id, Kind.RESULT if entry.kind is Kind.FRAME else entry.kind, entry.run, b"r")])


def test_ingest_starts_runs_publishes_and_holds_the_line(lines: Callable[[str], LineStream]) -> None:
    line = lines("ingest")
    line.source.hold("camera", live=True, ttl_ms=10_000)
    begin(line)
    assert line.source.memory().used > 0
    assert line.source.state() is LineState.RUNNING
    line.beats.beat("ingest", "camera", 10_000)
    lines("recorder").tap.lease("recorder", 10_000)
    line.source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p")])
    line.source.release("camera")
    assert lines("console").frames.backlog().waiting == 6


def test_preprocess_reads_judges_pins_buries_and_leaves(lines: Callable[[str], LineStream]) -> None:
    begin(lines("ingest"))
    line = lines("preprocess")
    start, first, second, third, end = line.frames.read("w", 10, 10)
    assert line.work.info(RUN).start == b"start"
    assert line.work.pin(RUN, b"pins") == b"pins"
    line.frames.keep("w", [first.id])
    line.frames.excuse("w", [first])
    assert line.work.finish([Done(one.id, Kind.RESULT, RUN, b"r") for one in (start, first, end)]) == [True] * 3
    assert line.work.bury(Done(second.id, Kind.RESULT, RUN, b"failed"), "undecodable")
    line.frames.hand_back("w", [third.id])
    assert [entry.id for entry in line.frames.claim("v", 0, 10)] == [third.id]
    assert line.frames.backlog().pending == 1
    assert line.frames.leave("w")
    line.beats.beat("preprocess", "w", 10_000)


def test_the_aggregator_keeps_account_and_closes(lines: Callable[[str], LineStream]) -> None:
    begin(lines("ingest"))
    judge(lines("preprocess"))
    line = lines("aggregator")
    start, *results, end = line.results.read("a", 10, 10)
    line.results.keep("a", [start.id])
    line.runs.acknowledge([start.id])
    assert line.runs.record([Record(results[0].id, RUN, "top", 0, 4, 5, b"", "blurred")]) == [Recorded.NEW]
    assert line.runs.record([Record(results[1].id, RUN, "top", 0, 4, 5, b"flagged")]) == [Recorded.NEW]
    line.runs.discard(results[2].id, "unreadable")
    assert (line.dead.count(), line.frames.backlog().waiting) == (1, 0)
    assert line.runs.record_end(end.id, RUN, "top", b"end", 3, 0) is Recorded.NEW
    assert line.runs.due(10) == [RUN]
    state = line.runs.state(RUN)
    assert state is not None
    line.runs.postpone(RUN, state.revision, 1)
    assert line.runs.attempt(RUN, state.revision) == 1
    assert line.runs.alarm("hole", Event("a1", RUN, b"{}", b""))
    assert line.runs.close(RUN, state.revision, Event("v1", RUN, b"{}", b""))
    assert [one.event.event_id for one in line.verdicts.since("", 10, 10)] == ["v1"]
    assert line.verdicts.of(RUN) is not None
    assert len(line.verdicts.page("", 10)) == 1
    assert line.verdicts.since(line.verdicts.latest(), 10, 0) == []
    line.results.leave("a")
    line.beats.beat("aggregate", "a", 10_000)
    assert standing(line).alive["aggregate"] == 1
    assert line.source.memory().used > 0


def test_an_mes_reads_verdicts_with_its_group_and_acknowledges(
    plant: Plant, lines: Callable[[str], LineStream]
) -> None:
    aggregator = lines("aggregator")
    begin(lines("ingest"), frames=0)
    state = aggregator.runs.state(RUN)
    assert state is not None
    assert aggregator.runs.alarm("hole", Event("a1", RUN, b"{}", b""))
    assert aggregator.runs.close(RUN, state.revision, Event("v1", RUN, json.dumps({"data": 1}).encode(), b""))
    raw = plant.raw("mes")
    stream = "sw:{line1}:verdicts"
    assert raw.exists(stream)
    raw.xgroup_create(stream, "mes", id="0", mkstream=True)
    assert [group["name"] for group in raw.xinfo_groups(stream)] == ["mes"]
    [[_, [[entry, fields]]]] = raw.execute_command("XREADGROUP", "GROUP", "mes", "m", "STREAMS", stream, ">")
    assert "v1" in fields if isinstance(fields, list) else fields["id"] == "v1"
    raw.xautoclaim(stream, "mes", "n", 0)
    assert raw.xack(stream, "mes", entry) == 1
    assert len(raw.xrange("sw:{line1}:alarms")) == 1
    assert raw.get("sw:{line1}:state") is None
    assert (raw.zcard("sw:{line1}:open"), raw.xlen("sw:{line1}:frames")) == (0, 2)
    list(raw.scan_iter(match="sw:{line1}:beat:*"))
    for forbidden in (
        lambda: raw.xadd(stream, {"id": "forged"}),
        lambda: raw.xdel(stream, entry),
        lambda: raw.xtrim(stream, maxlen=0),
        lambda: raw.delete(stream),
        lambda: raw.execute_command("XGROUP DESTROY", stream, "mes"),
        lambda: raw.xrange("sw:{line1}:frames"),
        lambda: raw.zrange("sw:{line1}:open", 0, -1),
        lambda: raw.xack("sw:{line1}:frames", "preprocess", "1-0"),
        lambda: raw.xdel("sw:{line1}:alarms", "1-0"),
        lambda: raw.hget("sw:{line1}:verdict-of", "s1:r1"),
    ):
        with pytest.raises(redis.exceptions.NoPermissionError):
            forbidden()


def test_the_console_looks_at_a_line_and_sets_it_right(lines: Callable[[str], LineStream]) -> None:
    begin(lines("ingest"))
    [_, frame, *_] = lines("preprocess").frames.read("w", 10, 0)
    lines("preprocess").work.bury(Done(frame.id, Kind.RESULT, RUN, b""), "undecodable")
    line = lines("console")
    [letter] = line.dead.page(10)
    assert line.dead.requeue(letter.id)
    line.source.set_state(LineState.PAUSED)
    line.source.set_state(LineState.RUNNING)
    assert standing(line).open_runs == 1
    line.source.hold("console", live=False, ttl_ms=1000)
    assert line.runs.state(RUN) is not None
    line.source.publish([Outgoing(Kind.END, RUN, b"end")])
    line.source.release("console")
    assert line.verdicts.since("", 10, 0) == []
    assert line.verdicts.page("", 10) == []
    assert line.verdicts.of(RUN) is None


def test_a_recorder_records_and_replays(lines: Callable[[str], LineStream]) -> None:
    line = lines("recorder")
    line.tap.lease("recorder", 10_000)
    with pytest.raises(Conflict):
        line.tap.lease("another", 10_000)
    begin(lines("ingest"))
    tapped = line.tap.read("", 10, 10)
    assert len(tapped) == 5
    line.tap.forget(tapped[-1].id)
    line.tap.release("recorder")
    line.source.hold("replay", live=False, ttl_ms=10_000)
    line.beats.beat("replay", "replay", 10_000)
    begin(line, ABANDONED)
    assert line.beats.alive() == {"replay": ["replay"]}
    assert (line.frames.backlog().waiting, line.results.backlog().waiting) == (10, 0)
    assert not line.work.info(ABANDONED).closed
    line.source.release("replay")


def test_what_is_anothers_work_is_refused(lines: Callable[[str], LineStream]) -> None:
    begin(lines("ingest"))
    ingest, preprocess, aggregator, recorder, console = (
        lines(user) for user in ("ingest", "preprocess", "aggregator", "recorder", "console")
    )
    verdict = Event("forged", RUN, b"{}", b"")
    for forbidden in (
        lambda: ingest.verdicts.since("", 1, 0),
        lambda: ingest.verdicts.page("", 1),
        lambda: ingest.verdicts.of(RUN),
        lambda: ingest.alarms.page("", 1),
        lambda: ingest.results.read("a", 1, 0),
        lambda: ingest.frames.read("w", 1, 0),
        lambda: ingest.runs.close(RUN, 1, verdict),
        lambda: ingest.dead.page(1),
        lambda: ingest.source.set_state(LineState.PAUSED),
        lambda: preprocess.runs.close(RUN, 1, verdict),
        lambda: preprocess.runs.alarm("hole", verdict),
        lambda: preprocess.verdicts.page("", 1),
        lambda: preprocess.tap.read("", 1, 0),
        lambda: aggregator.source.publish([Outgoing(Kind.END, RUN, b"end")]),
        lambda: aggregator.frames.read("w", 1, 0),
        lambda: aggregator.source.set_state(LineState.PAUSED),
        lambda: recorder.runs.close(RUN, 1, verdict),
        lambda: recorder.verdicts.page("", 1),
        lambda: recorder.frames.read("w", 1, 0),
        lambda: console.runs.close(RUN, 1, verdict),
        lambda: console.results.read("a", 1, 0),
    ):
        with pytest.raises(StreamRefused, match="refuses this"):
            forbidden()


@pytest.mark.parametrize("user", SERVICES)
def test_nobody_but_the_operator_runs_redis_itself(plant: Plant, user: str) -> None:
    raw = plant.raw(user)
    for command in (
        *("FLUSHALL", "FLUSHDB", "KEYS *", "DEBUG SLEEP 0", "CONFIG SET maxmemory 1", "SHUTDOWN NOSAVE", "SAVE"),
        *("FUNCTION FLUSH", "FUNCTION DELETE stripwatch", "ACL LIST", "REPLICAOF NO ONE", "MONITOR", "SWAPDB 0 1"),
        *("EVAL return 0", "CLIENT KILL TYPE normal", "SLOWLOG RESET", "MODULE LIST", "CLUSTER RESET"),
    ):
        place = {"target_nodes": raw.get_random_node()} if isinstance(raw, redis.RedisCluster) else {}
        with pytest.raises(redis.exceptions.ResponseError, match=r"no permissions|DEBUG command not allowed"):
            raw.execute_command(*command.split(), **place)
    foreign = "{line1}:key"
    with pytest.raises(redis.exceptions.NoPermissionError):
        raw.execute_command("EXISTS", foreign)


def test_a_password_that_is_wrong_or_missing_is_refused_and_told_to_nobody(plant: Plant) -> None:
    url = plant.url("ingest")
    wrong = re.sub(":[^:@]+@", ":guessed@", url)
    for given in (wrong, re.sub("//.*@", "//", url)):
        address = given.replace("redis://", "redis-cluster://") if plant.cluster else given
        with pytest.raises(StreamRefused) as caught:
            connect(address).line("line1")
        assert "guessed" not in str(caught.value)


def test_functions_that_are_missing_are_waited_for_by_those_who_may_not_load_them(plant: Plant) -> None:
    raw = plant.raw("operator")
    raw.flushall()
    raw.execute_command("FUNCTION FLUSH", **({"target_nodes": "primaries"} if plant.cluster else {}))
    for user in ("ingest", "preprocess", "recorder"):
        with pytest.raises(StreamUnavailable, match="start the aggregator"):
            plant.line(user)
    plant.line("aggregator")
    begin(plant.line("ingest"))


@pytest.mark.parametrize("version", ["7", "8"])
def test_what_functions_did_is_there_after_a_restart(version: str, tmp_path: Path) -> None:
    """It was not: Redis reads its append-only file as `default`, and what that one may not do it leaves out."""
    binary = binaries().get(version)
    if binary is None:
        pytest.skip(f"no Redis {version} here (make system)")
    port = free_port()
    acl = made(tmp_path, port, "operator", *SERVICES)
    options = ("--aclfile", str(acl), "--appendonly", "yes", "--appendfsync", "always")
    plant = Plant(tmp_path, cluster=False)
    with running(binary, tmp_path, *options, port=port):
        plant.line("aggregator")
        begin(plant.line("ingest"))
        before = sorted(plant.raw("operator").keys())
    with running(binary, tmp_path, *options, port=port):
        assert sorted(plant.raw("operator").keys()) == before
        assert plant.line("aggregator").runs.state(RUN) is not None


@pytest.mark.parametrize("version", ["7", "8"])
def test_who_shows_no_name_may_nothing_and_a_probe_only_ping(version: str, tmp_path: Path) -> None:
    binary = binaries().get(version)
    if binary is None:
        pytest.skip(f"no Redis {version} here (make system)")
    port = free_port()
    with running(binary, tmp_path, "--aclfile", str(made(tmp_path, port, "operator")), port=port):
        for stranger in (redis.Redis(port=port), redis.Redis(port=port, username="default", password="")):
            with pytest.raises(redis.exceptions.AuthenticationError):
                stranger.ping()
        probe = redis.Redis(port=port, username="probe", password="any", driver_info=None)  # noqa: S106 - any will do
        assert probe.ping()
        with pytest.raises(redis.exceptions.NoPermissionError):
            probe.keys()


def test_every_command_of_every_function_is_allowed_to_who_calls_it() -> None:
    """Also those of steps that are rare: trimming, a letter too many, a replica that leaves."""
    text = re.sub("#.*", "", (DEPLOY / "users.acl").read_text())
    users = dict(re.findall(r"^user (\w+)(.*?)(?=^user|\Z)", text, re.MULTILINE | re.DOTALL))
    assert set(" ".join(FUNCTIONS.values()).split()) == set(registered())
    for user, names in FUNCTIONS.items():
        allowed = set(re.findall(r"\+(\S+)", users[user].partition("(")[0]))
        for name in names.split():
            assert commands(name) <= allowed, f"{user} calls {name}"


def test_users_without_a_password_stay_off_and_given_passwords_are_hashed(tmp_path: Path) -> None:
    (tmp_path / "ingest").mkdir()
    (tmp_path / "ingest" / "password").write_text("it's 100 % secret@mill/1\n")
    found = dict(line.split(maxsplit=2)[1:] for line in made(tmp_path, 1, "ingest", "mes").read_text().splitlines())
    assert {user for user, rules in found.items() if rules.startswith("on")} == {"probe", "ingest", "mes"}
    assert "mill" not in "".join(found.values())
    before = (tmp_path / "mes" / "password").read_text()
    assert len(before) == 64
    made(tmp_path, 1, "mes")
    assert (tmp_path / "mes" / "password").read_text() == before
    refused = subprocess.run(
        ["sh", DEPLOY / "make-users", tmp_path, "h:1", "nobody"], check=False, capture_output=True, text=True
    )
    assert refused.returncode == 2
    assert "expected a user of users.acl, got nobody" in refused.stderr


def test_a_password_with_any_characters_opens_its_door(tmp_path: Path) -> None:
    binary = next(iter(binaries().values()), None)
    if binary is None:
        pytest.skip("no Redis here (make system)")
    (tmp_path / "aggregator").mkdir()
    (tmp_path / "aggregator" / "password").write_text("it's 100 % secret@mill/1?#ü")
    port = free_port()
    acl = made(tmp_path, port, "aggregator")
    with running(binary, tmp_path, "--aclfile", str(acl), port=port):
        Plant(tmp_path, cluster=False).line("aggregator")


@pytest.mark.parametrize("version", ["7", "8"])
def test_replicas_and_sentinels_do_their_work_as_their_users(version: str, tmp_path: Path) -> None:
    binary = binaries().get(version)
    if binary is None:
        pytest.skip(f"no Redis {version} here (make system)")
    users = tmp_path / "users"
    made(users, 1, "operator", "replica", "sentinel", "aggregator", "ingest")
    with watched(binary, tmp_path, users=users) as plant:
        aggregator, ingest = (
            plant.url.replace("://", f"://{user}:{(users / user / 'password').read_text()}@")
            for user in ("aggregator", "ingest")
        )
        connect(aggregator, timeout_s=2.0).line("line1")
        line = connect(ingest, timeout_s=2.0).line("line1")
        begin(line)
        assert plant.primary.client().wait(1, 10_000) == 1
        plant.primary.process.kill()
        wait_for(lambda: plant.named() == plant.replicas[0].port, "the fail-over", 60)
        wait_for(lambda: takes(line), "the new primary", 60)


def takes(line: LineStream) -> bool:
    try:
        line.source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p")])
    except StreamUnavailable:
        return False
    return True


def test_the_command_line_works_as_the_console_user(plant: Plant, lines: Callable[[str], LineStream]) -> None:
    begin(lines("ingest"))
    address = plant.url("console").replace("redis://", "redis-cluster://" if plant.cluster else "redis://")
    for words in (
        "line status line1",
        "line pause line1",
        "line resume line1",
        "dead list --line line1",
        "verdicts --line line1",
        "verdicts --line line1 --cursor 0",
    ):
        done = CliRunner().invoke(app, words.split(), env={"STRIPWATCH_REDIS_URL": address})
        assert done.exit_code == 0, f"{words}: {done.output}"
