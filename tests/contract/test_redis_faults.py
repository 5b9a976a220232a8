"""What Redis can do to its adapter, and what the adapter makes of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from redis_servers import binaries, free_port, server

from stripwatch.domain.frame import RunId
from stripwatch.errors import BadInput, Conflict, CursorLost, StreamFull, StreamUnavailable
from stripwatch.ports import Done, Event, Kind, LineState, LineStream, Outgoing, Record, Recorded
from stripwatch.stream import connect
from stripwatch.stream.redis.address import public


@pytest.fixture(scope="module", params=["7", "8"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    binary = binaries().get(request.param)
    if binary is None:
        pytest.skip(f"no Redis {request.param} here (make system)")
    with server(binary, tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture
def line(port: int) -> LineStream:
    redis.Redis(port=port).flushall()
    return connect(f"redis://127.0.0.1:{port}").line("line1")


@pytest.fixture
def raw(port: int) -> Iterator[redis.Redis]:
    client = redis.Redis(port=port)
    yield client
    client.config_set("maxmemory", 0)


RUN = RunId("line1", "s1", "r1")


def begin(line: LineStream, frames: int = 1) -> None:
    line.source.start_run(RUN, b"start", cameras=["top"], live=True, deadline_ms=1000)
    line.source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p" * 100_000)] * frames)


def test_a_server_that_is_away_is_unavailable_and_named_without_its_password() -> None:
    stream = connect(f"redis://user:secret@127.0.0.1:{free_port()}/0", timeout_s=0.2)
    with pytest.raises(StreamUnavailable) as caught:
        stream.ping()
    assert "127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_cluster_that_is_away_is_unavailable() -> None:
    with pytest.raises(StreamUnavailable):
        connect(f"redis-cluster://127.0.0.1:{free_port()}", timeout_s=0.2)


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(BadInput, match="redis://"):
        connect("http://localhost")


def test_no_password_is_left_in_a_public_address() -> None:
    assert public("rediss://u:p@host:1/2") == "rediss://host:1/2"


def test_a_server_that_hangs_is_unavailable_within_the_timeout(port: int, raw: redis.Redis) -> None:
    stream = connect(f"redis://127.0.0.1:{port}", timeout_s=0.3)
    stream.ping()
    raw.client_pause(1500)
    with pytest.raises(StreamUnavailable):
        stream.ping()
    raw.client_unpause()
    stream.ping()


def test_a_full_server_refuses_frames_but_takes_the_steps_that_empty_it(line: LineStream, raw: redis.Redis) -> None:
    begin(line, frames=20)
    entries = line.frames.read("w", 100, 0)
    raw.config_set("maxmemory-policy", "noeviction")
    raw.config_set("maxmemory", int(raw.info("memory")["used_memory"]) - 100_000)
    with pytest.raises(StreamFull):
        line.source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p" * 100_000)])
    done = [Done(entry.id, Kind.RESULT, RUN, b"result") for entry in entries]
    assert line.work.finish(done) == [True] * 21
    results = line.results.read("a", 100, 0)
    assert line.runs.record([Record(results[1].id, RUN, "top", 0, 1, 1)]) == [Recorded.NEW]
    line.source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p" * 1000)])


def test_a_full_server_evicts_nothing_of_ours(line: LineStream, raw: redis.Redis) -> None:
    begin(line)
    line.tap.lease("recorder", 60_000)
    line.runs.alarm("hole", Event("a1", RUN, b"{}", b""))
    line.beats.beat("ingest", "camera", 60_000)
    raw.config_set("maxmemory-policy", "noeviction")
    raw.config_set("maxmemory", int(raw.info("memory")["used_memory"]) + 2_000_000)
    keys, evicted = set(raw.keys()), raw.info("stats")["evicted_keys"]
    taken = fill(line)
    assert taken > 0
    assert set(raw.keys()) >= keys
    assert raw.xlen("sw:{line1}:frames") == 2 + taken
    assert raw.info("stats")["evicted_keys"] == evicted


def fill(line: LineStream) -> int:
    """How many frames a server takes until it is full."""
    taken = 0
    while True:
        try:
            line.source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p" * 100_000)])
        except StreamFull:
            return taken
        taken += 1


def test_functions_that_were_flushed_are_put_back(line: LineStream, raw: redis.Redis) -> None:
    raw.execute_command("FUNCTION FLUSH")
    begin(line)
    assert len(line.frames.read("w", 10, 0)) == 2


def test_functions_that_are_lost_again_at_once_mean_that_redis_is_not_ready(
    line: LineStream, raw: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended a source: flushed again between putting them back and the call (chaos seed 508)."""
    begin(line)
    raw.execute_command("FUNCTION FLUSH")
    with monkeypatch.context() as patch:
        patch.setattr("stripwatch.stream.redis.client.Client.load_functions", lambda *_: None)
        with pytest.raises(StreamUnavailable, match="functions"):
            line.frames.backlog()
    assert line.frames.backlog().waiting == 2


def test_groups_that_were_lost_are_made_again_and_miss_nothing(line: LineStream, raw: redis.Redis) -> None:
    begin(line)
    raw.xgroup_destroy("sw:{line1}:frames", "preprocess")
    assert line.frames.read("w", 10, 0) == []
    assert len(line.frames.read("w", 10, 0)) == 2
    raw.xgroup_destroy("sw:{line1}:frames", "preprocess")
    assert line.frames.claim("w", 0, 10) == []


def test_a_lost_group_is_made_again_whatever_is_asked_of_it(line: LineStream, raw: redis.Redis) -> None:
    begin(line)
    [entry, *_] = line.frames.read("w", 10, 0)
    for ask in (
        lambda: line.frames.keep("w", [entry.id]),
        lambda: line.frames.hand_back("w", [entry.id]),
        lambda: line.frames.excuse("w", [entry]),
        lambda: line.frames.leave("w"),
        line.frames.backlog,
    ):
        raw.xgroup_destroy("sw:{line1}:frames", "preprocess")
        ask()
    assert len(line.frames.read("w", 10, 0)) == 2


def test_a_worker_can_start_on_a_full_server(line: LineStream, port: int, raw: redis.Redis) -> None:
    begin(line)
    raw.config_set("maxmemory-policy", "noeviction")
    raw.config_set("maxmemory", int(raw.info("memory")["used_memory"]) // 2)
    late = connect(f"redis://127.0.0.1:{port}").line("line1")
    assert len(late.frames.read("w", 10, 0)) == 2


def test_heartbeats_go_on_on_a_full_server(line: LineStream, raw: redis.Redis) -> None:
    raw.config_set("maxmemory-policy", "noeviction")
    raw.config_set("maxmemory", int(raw.info("memory")["used_memory"]) // 2)
    line.beats.beat("preprocess", "w", 10_000)
    assert line.beats.alive() == {"preprocess": ["w"]}


def test_of_a_closed_run_nothing_is_left_but_its_tombstone(line: LineStream, raw: redis.Redis) -> None:
    begin(line, frames=3)
    entries = line.frames.read("w", 10, 0)
    line.work.finish([Done(entry.id, Kind.RESULT, RUN, b"r") for entry in entries])
    _, judged, failed, flagged = line.results.read("a", 10, 0)
    outcomes = [(judged, b"", ""), (failed, b"", "broken"), (flagged, b"scratch", "")]
    line.runs.record(
        [Record(entry.id, RUN, "top", index, 1, 1, flag, why) for index, (entry, flag, why) in enumerate(outcomes)]
    )
    state = line.runs.state(RUN)
    assert state is not None
    assert len(list(raw.scan_iter(match="*:s1:r1*"))) == 5
    assert line.runs.close(RUN, state.revision, Event("v", RUN, b"{}", b""))
    assert list(raw.scan_iter(match="*:s1:r1*")) == [b"sw:{line1}:run:s1:r1"]
    assert set(raw.hgetall("sw:{line1}:run:s1:r1")) == {b"closed"}
    assert raw.ttl("sw:{line1}:run:s1:r1") > 0


def test_pending_entries_that_were_trimmed_are_let_go_and_said(
    line: LineStream, raw: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    begin(line, frames=2)
    _, gone, _ = line.frames.read("w", 10, 0)
    raw.xdel("sw:{line1}:frames", gone.id)
    assert len(line.frames.claim("other", 0, 10)) == 2
    assert "pending entries had lost their payload" in caplog.text
    assert line.frames.backlog().pending == 2


def test_verdicts_trimmed_between_the_look_and_the_read_are_not_passed_over(
    line: LineStream, raw: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 4):
        raw.xadd("sw:{line1}:verdicts", {"id": f"v{number}", "r": "s0:r0", "j": "{}", "b": ""}, id=f"{number}000-0")
    events = line.verdicts
    look = events._check_place  # type: ignore[attr-defined]

    def then_trim(after: str) -> None:
        look(after)
        raw.xdel("sw:{line1}:verdicts", "2000-0")

    monkeypatch.setattr(events, "_check_place", then_trim)
    with pytest.raises(CursorLost):
        events.since("1000-0", 10, 0)


def test_verdicts_are_paged_in_pieces_and_all_of_them(line: LineStream, raw: redis.Redis) -> None:
    for number in range(1, 121):
        raw.xadd("sw:{line1}:verdicts", {"id": f"v{number}", "r": "s0:r0", "j": "{}", "b": ""}, id=f"{number}-0")
    assert [one.event.event_id for one in line.verdicts.page("", 115)] == [f"v{number}" for number in range(120, 5, -1)]
    assert len(line.verdicts.page("31-0", 100)) == 30


def test_a_word_on_the_line_that_is_none_of_ours_stops_nobody(line: LineStream, raw: redis.Redis) -> None:
    raw.set("sw:{line1}:state", b"\xffhalted")
    assert line.source.state() is LineState.RUNNING


def test_consumers_that_ended_without_leaving_are_taken_out_unless_they_hold_something(
    line: LineStream, raw: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stripwatch.stream.redis.queue.GONE_MS", -1)
    begin(line)
    [first, _] = line.frames.read("holds", 10, 0)
    line.frames.read("ended", 10, 0)
    assert line.frames.claim("alive", 60_000, 10) == []
    assert [one["name"] for one in raw.xinfo_consumers("sw:{line1}:frames", "preprocess")] == [b"holds"]
    assert [entry.id for entry in line.frames.claim("alive", 0, 1)] == [first.id]


def test_letters_are_read_in_pieces_and_all_of_them(line: LineStream) -> None:
    begin(line, frames=40)
    for entry in line.frames.read("w", 100, 0)[1:]:
        line.work.bury(Done(entry.id, Kind.RESULT, RUN, b""), "broken")
    assert len(line.dead.page(1_000)) == 40
    assert len({letter.id for letter in line.dead.page(37)}) == 37


@pytest.mark.parametrize(
    "fields", [{"k": "riddle", "r": "s1:r1", "b": ""}, {"k": "frame"}, {"k": "frame", "r": "../x:y", "b": ""}]
)
def test_an_entry_that_nobody_can_read_goes_to_dead_and_ends_nobody(
    line: LineStream, raw: redis.Redis, fields: dict[str, str]
) -> None:
    begin(line)
    raw.xadd("sw:{line1}:frames", fields)
    assert len(line.frames.read("w", 10, 0)) == 2
    assert line.frames.backlog().waiting == 2
    [letter] = line.dead.page(10)
    assert "expected the fields k, r and b" in letter.reason
    assert letter.origin == "frames"


def test_dead_letters_keep_to_their_share_of_memory_and_the_oldest_go_first(line: LineStream, raw: redis.Redis) -> None:
    raw.config_set("maxmemory-policy", "noeviction")
    raw.config_set("maxmemory", 40 << 20)
    begin(line, frames=40)
    for number, entry in enumerate(line.frames.read("w", 100, 0)[1:]):
        line.work.bury(Done(entry.id, Kind.RESULT, RUN, b""), f"reason {number}")
    letters = line.dead.page(100)
    assert letters[0].reason == "reason 39"
    assert sum(len(letter.entry.pixels) for letter in letters) <= (40 << 20) // 20
    assert len(letters) == 20
    for letter in letters:
        assert line.dead.requeue(letter.id)
    assert int(raw.get("sw:{line1}:dead-bytes") or 0) == 0


def test_what_a_dead_recorder_left_behind_is_removed(line: LineStream, raw: redis.Redis) -> None:
    line.tap.lease("recorder", 60_000)
    begin(line, frames=3)
    assert raw.xlen("sw:{line1}:tap") == 4
    raw.delete("sw:{line1}:tap-lease")  # as when it expires
    line.source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p")])
    assert raw.exists("sw:{line1}:tap") == 0


def test_a_stream_of_frames_that_is_gone_took_its_runs_with_it(line: LineStream, raw: redis.Redis) -> None:
    begin(line)
    raw.delete("sw:{line1}:frames")
    with pytest.raises(Conflict, match="gone"):
        line.source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p")])
    assert raw.exists("sw:{line1}:frames") == 0


def test_a_run_is_busy_while_frames_that_it_admitted_wait(line: LineStream) -> None:
    begin(line, frames=1)
    line.frames.read("w", 1, 0)
    state = line.runs.state(RUN)
    assert state is not None
    assert state.busy


def test_memory_of_a_stream_is_what_is_outstanding(line: LineStream, raw: redis.Redis) -> None:
    begin(line)
    before = raw.info("memory")["used_memory"]
    for _ in range(20):
        line.source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p" * 100_000)] * 5)
        entries = line.frames.read("w", 100, 0)
        line.work.finish([Done(entry.id, Kind.RESULT, RUN, b"r") for entry in entries])
        line.runs.acknowledge([entry.id for entry in line.results.read("a", 100, 0)])
    assert raw.info("memory")["used_memory"] < before + 1_000_000
    assert line.frames.backlog().waiting == 0


def test_verdicts_older_than_their_keep_are_gone_and_a_cursor_among_them_fails(
    line: LineStream, raw: redis.Redis
) -> None:
    raw.xadd("sw:{line1}:verdicts", {"id": "v0", "r": "s0:r0", "j": "{}", "b": ""}, id="1000-0")
    raw.xadd("sw:{line1}:verdicts", {"id": "v1", "r": "s0:r1", "j": "{}", "b": ""}, id="2000-0")
    raw.hset("sw:{line1}:verdict-of", "s0:r0", "1000-0")
    begin(line)
    state = line.runs.state(RUN)
    assert state is not None

    assert line.runs.close(RUN, state.revision, Event("v2", RUN, b"{}", b""))
    assert [one.event.event_id for one in line.verdicts.since("", 10, 0)] == ["v2"]
    assert line.verdicts.of(RunId("line1", "s0", "r0")) is None
    with pytest.raises(CursorLost, match="trimmed"):
        line.verdicts.since("1000-0", 10, 0)
    assert line.verdicts.since("2000-0", 10, 0)
