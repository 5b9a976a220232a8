"""What happens to strips in a mill, on a real Redis: late cameras, lost frames, long strips, clocks, restarts."""

from __future__ import annotations

import importlib.util
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from redis_servers import binaries, free_port, server
from typer.testing import CliRunner

from aggregator_cases import bitmap, pins, rules, scratch
from aggregator_cases import end as end_of
from aggregator_cases import result as result_of
from aggregator_cases import start as start_of
from preprocess_cases import DEFECT_GREY, HEALTHY_GREY, Plant, Worker, strip_image
from stripwatch.cli.main import app
from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Encoding, Frame, FrameHeader, IndexRange, RunId
from stripwatch.domain.recipe import Disposition, Role
from stripwatch.domain.strip import CameraEnd, RunStart, Shed
from stripwatch.domain.verdict import MOST_DEFECTS, MOST_LOSSES, Loss, LossReason, StripVerdict
from stripwatch.errors import Unavailable
from stripwatch.feed.hold import Hold
from stripwatch.feed.publisher import Publisher
from stripwatch.feed.rules import FeedRules
from stripwatch.ports import Kind, LineStream, Outgoing, Record
from stripwatch.rpc.codec.frames import encode_end, encode_header, encode_start
from stripwatch.rpc.codec.results import encode_pins
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.stream import connect
from stripwatch.stream.keys import Keys
from stripwatch_aggregator import service
from stripwatch_aggregator.keep import what_to_keep
from stripwatch_aggregator.memo import Memo
from stripwatch_aggregator.service import Aggregate
from stripwatch_aggregator.settings import AggregatorSettings

LINES = (f"mill{number}" for number in itertools.count())
LONG_MS = 600_000
"""A deadline that no test lives to see."""
SHORT_MS = 300
MIB = 1 << 20


def until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"{what}: not within {seconds:g} s"


@dataclass
class Mill:
    """One line on a real server: a source that says what the test tells it, a worker and an aggregator, by steps."""

    url: str
    name: str = field(default_factory=lambda: next(LINES))
    plant: Plant = field(init=False)
    line: LineStream = field(init=False)
    worker: Worker = field(init=False)
    aggregate: Aggregate = field(init=False)
    memo: Memo = field(init=False)

    def __post_init__(self) -> None:
        stream: Any = connect(self.url)
        self.plant = Plant(stream=stream)
        self.line = stream.line(self.name)
        self.worker = self.plant.worker(lines=(self.name,), claim_idle_seconds=1.0)
        settings = AggregatorSettings(claim_idle_seconds=0.5)
        self.aggregate = Aggregate(stream, self.name, settings, Lifecycle(), "aggregator")
        self.memo = Memo(self.line.work)

    def run(self, name: str, strip: str = "coil-7") -> RunId:
        return RunId(self.name, strip, name)

    def start(
        self, run: RunId, cameras: Sequence[str] = ("cam1",), *, live: bool = True, deadline_ms: int = LONG_MS
    ) -> None:
        self.line.source.start_run(
            run, encode_start(start(run, cameras, live)), cameras=cameras, live=live, deadline_ms=deadline_ms
        )

    def send(self, run: RunId, indices: Sequence[int], camera: str = "cam1", grey: int = HEALTHY_GREY) -> None:
        frames = [frame(run, index, camera, grey) for index in indices]
        entries = [Outgoing(Kind.FRAME, run, encode_header(one.header), one.pixels) for one in frames]
        self.line.source.publish(entries)

    def end(self, run: RunId, frames: int, camera: str = "cam1") -> None:
        self.line.source.publish([Outgoing(Kind.END, run, encode_end(CameraEnd(run, camera, frames)))])

    def step(self, rounds: int = 1) -> None:
        """The worker's and the aggregator's rounds; a server that is away is waited for, as their loops do."""
        for _ in range(rounds):
            try:
                self.worker.rounds(1)
                self.aggregate.step(self.line, self.memo)
            except Unavailable:
                time.sleep(0.05)

    def look(self) -> None:
        """The aggregator looks at the line again and again, and nothing else happens."""
        for _ in range(30):
            self.aggregate.step(self.line, self.memo)

    def settle(self) -> None:
        """Until nothing of the line is under way."""

        def idle() -> bool:
            self.step()
            return not (self.line.frames.backlog().waiting or self.line.results.backlog().waiting)

        until(idle, "an empty line")

    def verdict(self, run: RunId) -> StripVerdict:
        def decided() -> bool:
            self.step()
            return self.line.verdicts.of(run) is not None

        until(decided, f"the verdict on {run}")
        found = self.line.verdicts.of(run)
        assert found is not None
        return decode_verdict(found.event.body)

    def verdicts(self) -> list[RunId]:
        return [one.event.run for one in self.line.verdicts.since("", 100, 0)]


def start(run: RunId, cameras: Sequence[str] = ("cam1",), live: bool = True) -> RunStart:
    sides = tuple(Camera(name, Side.TOP, 20, 60) for name in cameras)
    return RunStart(run, sides, "plain", 60, None, 1, live=live)


def frame(run: RunId, index: int, camera: str = "cam1", grey: int = HEALTHY_GREY) -> Frame:
    image = strip_image(grey)
    height, width = image.shape
    place = (index * height * 0.5, 0.0, 0.5)
    header = FrameHeader(run, camera, Side.TOP, index, *place, 1, height, width, Encoding.RAW)
    return Frame(header, image.tobytes())


def never_seen(first: int, last: int) -> Loss:
    return Loss(IndexRange(first, last), LossReason.NEVER_SEEN)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server(next(iter(binaries().values())), tmp_path_factory.mktemp("redis")) as port:
        yield f"redis://127.0.0.1:{port}"


@pytest.fixture
def mill(url: str) -> Mill:
    return Mill(url)


@pytest.fixture(autouse=True)
def little_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BLOCK_MS", 5)
    monkeypatch.setattr(service, "LOOK_AGAIN_MS", 10)


# Cameras and markers


def test_a_camera_that_comes_when_the_other_is_long_done_is_waited_for(mill: Mill) -> None:
    run = mill.run("r1")
    mill.start(run, ("cam1", "cam2"))
    mill.send(run, range(4))
    mill.end(run, 4)
    mill.settle()
    mill.look()
    assert mill.verdicts() == []
    mill.send(run, range(3), "cam2", DEFECT_GREY)
    mill.end(run, 3, "cam2")
    verdict = mill.verdict(run)
    assert [(one.expected, one.judged, one.lost) for one in verdict.cameras] == [(4, 4, ()), (3, 3, ())]
    assert {camera for defect in verdict.defects for camera in defect.cameras} == {"cam2"}


def test_a_camera_later_than_the_deadline_is_in_no_verdict_and_its_frames_are_counted_late(mill: Mill) -> None:
    run = mill.run("r1")
    mill.start(run, ("cam1", "cam2"), deadline_ms=SHORT_MS)
    mill.send(run, range(4))
    mill.end(run, 4)
    verdict = mill.verdict(run)
    assert [(one.camera, one.expected, one.judged, one.ended) for one in verdict.cameras] == [
        ("cam1", 4, 4, True),
        ("cam2", 0, 0, False),
    ]
    assert verdict.disposition is Disposition.REVIEW
    assert verdict.coverage < 10_000
    mill.send(run, range(3), "cam2")
    mill.end(run, 3, "cam2")
    mill.settle()
    assert mill.line.runs.late(run) == 3
    assert mill.verdict(run) == verdict
    assert mill.verdicts() == [run]


def test_a_strip_inspected_again_is_a_new_run_and_the_old_verdict_stays(mill: Mill) -> None:
    first, again = mill.run("r1"), mill.run("r2")
    mill.start(first)
    mill.send(first, range(3))
    mill.end(first, 3)
    accepted = mill.verdict(first)
    mill.start(again)
    mill.send(again, range(3), grey=DEFECT_GREY)
    mill.end(again, 3)
    second = mill.verdict(again)
    assert (accepted.defects, len(second.defects)) == ((), 1)
    assert mill.verdict(first) == accepted
    assert mill.verdicts() == [first, again]
    assert accepted.verdict_id != second.verdict_id


def test_two_passes_of_one_strip_at_a_time_do_not_mix(mill: Mill) -> None:
    first, again = mill.run("r1"), mill.run("r2")
    for run in (first, again):
        mill.start(run)
    for index in range(3):
        mill.send(first, [index])
        mill.send(again, [index], grey=DEFECT_GREY)
    mill.end(again, 3)
    mill.end(first, 3)
    assert (mill.verdict(first).defects, len(mill.verdict(again).defects)) == ((), 1)


def test_an_end_marker_before_the_last_frames_ends_nothing_early(mill: Mill) -> None:
    run = mill.run("r1")
    mill.start(run)
    mill.send(run, [0])
    mill.end(run, 5)
    mill.settle()
    mill.look()
    assert mill.verdicts() == []
    mill.send(run, [4, 3, 2, 1])
    assert [(one.judged, one.lost) for one in mill.verdict(run).cameras] == [(5, ())]


def test_without_an_end_marker_a_live_run_ends_by_its_deadline(mill: Mill) -> None:
    run = mill.run("r1")
    mill.start(run, deadline_ms=SHORT_MS)
    mill.send(run, range(4))
    verdict = mill.verdict(run)
    assert [(one.expected, one.judged, one.ended) for one in verdict.cameras] == [(4, 4, False)]
    assert verdict.disposition is Disposition.REVIEW
    assert verdict.coverage < 10_000


def test_without_an_end_marker_a_replay_waits_until_line_close_ends_it(mill: Mill) -> None:
    run = mill.run("r1")
    mill.start(run, live=False, deadline_ms=1)
    mill.send(run, range(4))
    mill.settle()
    mill.look()
    assert mill.line.runs.open_runs() == [run]
    assert mill.verdicts() == []
    told = CliRunner().invoke(app, ["line", "close", mill.name], env={"STRIPWATCH_REDIS_URL": mill.url})
    assert told.exit_code == 0, told.output
    assert "coil-7/r1 is ended" in told.output
    verdict = mill.verdict(run)
    assert [(one.expected, one.judged) for one in verdict.cameras] == [(5, 4)]
    assert verdict.cameras[0].lost == (Loss(IndexRange(4, 4), LossReason.SHED, "source gone"),)
    assert verdict.coverage < 10_000


def test_frames_after_the_verdict_are_counted_late_and_change_nothing(mill: Mill) -> None:
    run = mill.run("r1")
    mill.start(run)
    mill.send(run, range(2))
    mill.end(run, 2)
    verdict = mill.verdict(run)
    mill.send(run, [1, 2, 3], grey=DEFECT_GREY)
    mill.settle()
    assert mill.line.runs.late(run) == 3
    assert mill.verdict(run) == verdict
    assert mill.verdicts() == [run]


def test_gaps_in_the_indices_are_named_to_the_frame(mill: Mill) -> None:
    run = mill.run("r1")
    mill.start(run, live=False, deadline_ms=SHORT_MS)
    mill.send(run, [1, 2, 5, 9])
    mill.end(run, 12)
    (camera,) = mill.verdict(run).cameras
    assert (camera.expected, camera.judged) == (12, 4)
    assert camera.lost == (never_seen(0, 0), never_seen(3, 4), never_seen(6, 8), never_seen(10, 11))


def test_a_strip_of_zero_frames_gets_its_verdict(mill: Mill) -> None:
    run = mill.run("r1")
    mill.start(run, ("cam1", "cam2"))
    for camera in ("cam1", "cam2"):
        mill.end(run, 0, camera)
    verdict = mill.verdict(run)
    assert verdict.disposition is Disposition.REVIEW
    assert verdict.reasons[0] == "no strip was inspected"
    assert [(one.expected, one.judged, one.ended) for one in verdict.cameras] == [(0, 0, True)] * 2


# A long strip

FRAMES = 100_000
EVERY_FLAGGED, EVERY_FAILED = 25, 1_000
NOT_SEEN = [*range(30), 777, *range(50_000, 50_006), FRAMES - 1]
SHED = Shed(IndexRange(60_000, 60_999), "stream full")


@pytest.fixture(scope="module")
def long_strip(url: str) -> tuple[Mill, RunId, StripVerdict, dict[str, int], dict[str, Any]]:
    """100,000 frames recorded in batches: the run, its verdict, the sizes it had, the commands it took."""
    mill = Mill(url)
    run = mill.run("long", "coil-100000")
    client = redis.Redis.from_url(url)
    begun = start_of(run, ("c1",))
    mill.line.source.start_run(run, encode_start(begun), cameras=("c1",), live=False, deadline_ms=SHORT_MS)
    mill.line.work.pin(run, encode_pins(pins()))
    mill.settle()
    shed = set(range(SHED.frames.first, SHED.frames.last + 1))
    indices = [index for index in range(FRAMES) if index not in shed and index not in set(NOT_SEEN)]
    how = rules(run_start=begun)
    for first in range(0, len(indices), 1_000):
        mill.line.runs.record([_record(run, index, how) for index in indices[first : first + 1_000]])
    sizes = _sizes(client, mill.name)
    client.config_resetstat()
    mill.line.source.publish([Outgoing(Kind.END, run, encode_end(end_of(FRAMES, "c1", (SHED,), run)))])
    verdict = mill.verdict(run)
    return mill, run, verdict, sizes, client.info("commandstats")


def _record(run: RunId, index: int, how: Any) -> Record:
    if index % EVERY_FAILED == EVERY_FAILED // 2:
        return Record("0-1", run, "c1", index, 0, 0, b"", f"undecodable: frame {index}")
    flagged = scratch(index) if index % EVERY_FLAGGED == 0 else None
    one = result_of(index, flagged, "c1", run) if flagged else None
    return Record("0-1", run, "c1", index, 20_000, 20_000, what_to_keep(one, how) if one else b"")


def _sizes(client: redis.Redis, line: str) -> dict[str, int]:
    """The biggest single value of each of a line's keys, as `--bigkeys` would find them, and what each takes in all."""
    found: dict[str, int] = {}
    for key in client.scan_iter(match=f"sw:{{{line}}}:*", count=1_000):
        name, kind = key.decode(), client.type(key).decode()
        if kind == "string":
            found[name] = client.strlen(key)
        elif kind == "hash":
            found[name] = max(len(value) for _, value in client.hscan_iter(key, count=1_000))
        elif kind == "stream":
            entries = client.xrange(key)
            found[name] = max((len(part) for _, parts in entries for part in parts.values()), default=0)
    return found


def test_the_verdict_on_a_strip_of_100000_frames_is_right_to_the_frame(long_strip: Any) -> None:
    _, _, verdict, _, _ = long_strip
    shed = set(range(SHED.frames.first, SHED.frames.last + 1))
    failed = [index for index in range(500, FRAMES, EVERY_FAILED) if index not in shed]
    (camera,) = verdict.cameras
    assert (camera.failed, camera.shed, camera.never_seen) == (len(failed), 1_000, len(NOT_SEEN))
    assert camera.expected == FRAMES
    assert camera.judged == FRAMES - len(failed) - 1_000 - len(NOT_SEEN)
    ranges = [never_seen(0, 29), never_seen(777, 777), never_seen(50_000, 50_005), never_seen(FRAMES - 1, FRAMES - 1)]
    ranges += [Loss(IndexRange(at, at), LossReason.FAILED, f"undecodable: frame {at}") for at in failed]
    ranges += [Loss(SHED.frames, LossReason.SHED, SHED.reason)]
    assert camera.lost == tuple(sorted(ranges, key=lambda loss: loss.frames.first)[:MOST_LOSSES])
    flagged = [at for at in range(0, FRAMES, EVERY_FLAGGED) if at not in {*shed, *NOT_SEEN, *failed}]
    assert (verdict.found, len(verdict.defects)) == (len(flagged), MOST_DEFECTS)
    assert verdict.inspected_mm2 == 20_000 * camera.judged


def test_no_value_of_a_strip_of_100000_frames_is_big(long_strip: Any) -> None:
    mill, run, _, sizes, _ = long_strip
    assert sizes[Keys(mill.name).seen(run, "c1")] == len(bitmap([FRAMES - 2]))
    assert max(sizes.values()) < MIB
    published = mill.line.verdicts.of(run)
    assert max(len(published.event.json), len(published.event.body)) < MIB
    assert json.loads(published.event.json)["data"]["defectsFound"] > MOST_DEFECTS


def test_the_state_of_a_strip_of_100000_frames_is_read_in_pieces(long_strip: Any) -> None:
    _, _, _, _, commands = long_strip
    whole = {"cmdstat_hgetall", "cmdstat_hvals", "cmdstat_hkeys", "cmdstat_keys", "cmdstat_zrangebyscore"}
    assert not whole & set(commands)
    assert commands["cmdstat_hscan"]["calls"] > FRAMES // EVERY_FLAGGED // 1_000


def test_a_strip_of_100000_frames_leaves_nothing_but_its_verdict_and_a_tombstone(long_strip: Any) -> None:
    mill, run, _, _, _ = long_strip
    left = {key.decode() for key in redis.Redis.from_url(mill.url).scan_iter(match=f"sw:{{{mill.name}}}:*{run.strip}*")}
    assert left == {Keys(mill.name).run(run)}


# Clocks


@dataclass
class Clock:
    """The server's clock, set while it runs."""

    file: Path

    def step(self, seconds: int) -> None:
        self.file.write_text(f"{seconds:+d}\n")


@pytest.fixture
def clocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Mill, Clock, redis.Redis]]:
    """A server whose clock a test can set. Redis 8 only: the allocator of Debian's 7.0 does not start under it."""
    found = importlib.util.find_spec("libfaketime")
    binary = binaries().get("8")
    if found is None or found.origin is None or binary is None:
        pytest.skip("needs Redis 8 (the demo extra) and libfaketime (the dev extra)")
    library = Path(found.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    clock = Clock(tmp_path / "clock")
    clock.step(0)
    with ExitStack() as stack:
        with monkeypatch.context() as environment:
            environment.setenv("LD_PRELOAD", str(library))
            environment.setenv("FAKETIME_TIMESTAMP_FILE", str(clock.file))
            environment.setenv("FAKETIME_NO_CACHE", "1")
            environment.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            port = stack.enter_context(server(binary, tmp_path))
        yield Mill(f"redis://127.0.0.1:{port}"), clock, redis.Redis(port=port)


def test_a_clock_put_an_hour_forward_does_not_end_a_live_run(clocked: tuple[Mill, Clock, redis.Redis]) -> None:
    mill, clock, client = clocked
    run = mill.run("r1")
    mill.start(run, deadline_ms=60_000)
    mill.send(run, range(3))
    mill.settle()
    before = client.time()[0]
    clock.step(3_600)
    assert client.time()[0] - before >= 3_600
    mill.look()
    assert mill.line.runs.due(10) == []  # looked at, and put off
    assert mill.verdicts() == []
    mill.send(run, range(3, 6))
    mill.look()
    mill.end(run, 6)
    assert [(one.expected, one.judged, one.ended) for one in mill.verdict(run).cameras] == [(6, 6, True)]


def test_a_clock_put_an_hour_back_loses_nothing(clocked: tuple[Mill, Clock, redis.Redis]) -> None:
    mill, clock, client = clocked
    first, run = mill.run("r0"), mill.run("r1")
    mill.start(first)
    mill.end(first, 0)
    mill.verdict(first)
    cursor = mill.line.verdicts.latest()
    mill.start(run, deadline_ms=60_000)
    mill.send(run, range(3))
    last = client.xinfo_stream(Keys(mill.name).frames)["last-generated-id"]
    clock.step(-3_600)
    mill.send(run, range(3, 6))
    following = client.xinfo_stream(Keys(mill.name).frames)["last-generated-id"]
    assert _order(following) > _order(last)
    mill.look()
    assert mill.verdicts() == [first]
    mill.end(run, 6)
    assert [(one.expected, one.judged, one.ended) for one in mill.verdict(run).cameras] == [(6, 6, True)]
    assert [one.event.run for one in mill.line.verdicts.since(cursor, 10, 0)] == [run]


def test_heartbeats_and_holds_outlive_a_step_of_the_clock(clocked: tuple[Mill, Clock, redis.Redis]) -> None:
    mill, clock, _ = clocked
    with Hold(mill.line, "camera", live=True, stage="ingest", ttl_ms=1_500):
        for seconds in (3_600, 0):  # an hour forward, and the hour back again
            clock.step(seconds)

            def all_alive() -> bool:
                mill.step()
                return set(mill.line.beats.alive()) == {"ingest", "preprocess", "aggregate"}

            until(all_alive, "heartbeats")
            with pytest.raises(Exception, match="a live source has it"):
                mill.line.source.hold("replay", live=False, ttl_ms=1_000)
    mill.line.source.hold("replay", live=False, ttl_ms=1_000)


def _order(entry_id: bytes) -> tuple[int, ...]:
    return tuple(int(part) for part in entry_id.split(b"-"))


# Restarts

AOF = ("--appendonly", "yes", "--appendfsync", "always")


@contextmanager
def publishing(mill: Mill, deadline_s: float) -> Iterator[Publisher]:
    """A replay's way into the line, as ingest has it."""
    lifecycle = Lifecycle()
    publisher = Publisher(mill.line, FeedRules(live=False, run_deadline_s=deadline_s, batch_frames=4), lifecycle)
    yield publisher
    publisher.close(60)


def test_a_server_that_writes_everything_down_loses_nothing_when_it_is_killed(tmp_path: Path) -> None:
    """Killed again and again while frames go in and results come out; every frame is judged, once."""
    binary, port = next(iter(binaries().values())), free_port()
    frames, kills = 120, 3
    with ExitStack() as servers:
        servers.enter_context(server(binary, tmp_path, *AOF, port=port))
        mill = Mill(f"redis://127.0.0.1:{port}")
        run = mill.run("r1")
        sent = threading.Event()

        def publish() -> None:
            with publishing(mill, 600) as publisher:
                publisher.start(start(run, live=False))
                for index in range(frames):
                    publisher.frame(frame(run, index, grey=DEFECT_GREY if index == 7 else HEALTHY_GREY))
                    time.sleep(0.002)
                publisher.end(CameraEnd(run, "cam1", frames))
            sent.set()

        source = threading.Thread(target=publish)
        source.start()
        for kill in range(1, kills + 1):
            until(lambda: _judged(mill, run) >= kill * frames // (kills + 2), "frames to be judged")  # noqa: B023
            servers.close()
            servers.enter_context(server(binary, tmp_path, *AOF, port=port))
        verdict = mill.verdict(run)
        source.join(60)
        assert sent.is_set()
    (camera,) = verdict.cameras
    assert (camera.expected, camera.judged, camera.lost, camera.ended) == (frames, frames, (), True)
    assert (verdict.coverage, len(verdict.defects)) == (10_000, 1)


def _judged(mill: Mill, run: RunId) -> int:
    mill.step()
    try:
        state = mill.line.runs.state(run)
    except Unavailable:
        return 0
    return 0 if state is None else sum(one.judged.count(b"\xff") * 8 for one in state.cameras.values())


def test_a_server_that_writes_nothing_down_loses_frames_and_the_verdict_counts_them(tmp_path: Path) -> None:
    """The publisher starts the run again; what went in before the server came back empty was never seen."""
    binary, port = next(iter(binaries().values())), free_port()
    with ExitStack() as servers:
        servers.enter_context(server(binary, tmp_path, "--appendonly", "no", port=port))
        mill = Mill(f"redis://127.0.0.1:{port}")
        run = mill.run("r1")
        with publishing(mill, 0.5) as publisher:
            publisher.start(start(run, live=False))
            for index in range(10):
                publisher.frame(frame(run, index))
            assert publisher.flush()
            mill.settle()  # judged, and lost all the same
            servers.close()
            servers.enter_context(server(binary, tmp_path, "--appendonly", "no", port=port))
            for index in range(10, 25):
                publisher.frame(frame(run, index))
            publisher.end(CameraEnd(run, "cam1", 25))
        verdict = mill.verdict(run)
        assert mill.verdicts() == [run]
    (camera,) = verdict.cameras
    assert (camera.expected, camera.judged, camera.lost) == (25, 15, (never_seen(0, 9),))
    assert verdict.disposition is Disposition.REVIEW
    assert verdict.spoke == frozenset({Role.CLASSIFIER, Role.ANOMALY})
