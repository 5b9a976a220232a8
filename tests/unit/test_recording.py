"""Recordings: byte for byte what went by, whole runs only, and a clear word on every damaged file."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from mcap.reader import make_reader
from mcap.writer import Writer

from stripwatch.domain.frame import Frame, RunId
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.errors import Conflict, DeadlineExceeded, PeerUnavailable, RecordingInvalid, StreamUnavailable
from stripwatch.feed import FeedRules, Hold, Publisher
from stripwatch.ports import Kind, LineStream, Outgoing
from stripwatch.recording import Consumers, Recorder, Recording, Replayer, as_new_runs
from stripwatch.recording.writer import RecordingWriter
from stripwatch.rpc.codec.frames import encode_end, encode_header, encode_start
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.stream.memory import MemoryStream
from unit.feeding import RUN, end, frame, start, take

OTHER = RunId("line1", "s2", "r2")


def outgoing(event: RunStart | Frame | CameraEnd) -> Outgoing:
    if isinstance(event, RunStart):
        return Outgoing(Kind.START, event.run, encode_start(event))
    if isinstance(event, Frame):
        return Outgoing(Kind.FRAME, event.header.run, encode_header(event.header), event.pixels)
    return Outgoing(Kind.END, event.run, encode_end(event))


def a_run(run: RunId = RUN, frames: int = 6) -> list[RunStart | Frame | CameraEnd]:
    return [start(run), *(frame(index, run, size=(50, 60)) for index in range(frames)), end(frames, run)]


def written(path: Path, events: list[RunStart | Frame | CameraEnd]) -> Path:
    with RecordingWriter(path) as writer:
        for event in events:
            writer.write(outgoing(event), published_ns=7)
        writer.finish()
    return path


def test_a_recording_holds_what_went_by_byte_for_byte(tmp_path: Path) -> None:
    events = [start(), start(OTHER), frame(0), frame(0, OTHER), frame(1), end(2), end(1, OTHER)]
    recording = Recording(written(tmp_path / "a.mcap", events))
    assert [line.entry for line in recording.entries()] == [outgoing(event) for event in events]
    assert list(recording.events()) == events
    assert (recording.frames, list(recording.runs), recording.bytes) == (3, [RUN, OTHER], 3 * 32)
    assert not (tmp_path / "a.mcap.part").exists()


def test_other_tools_can_read_its_schemas_channels_and_times(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mcap", a_run(frames=3))
    with path.open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None
    assert summary.statistics is not None
    assert sorted(channel.topic for channel in summary.channels.values()) == [
        "line1/start",
        "line1/top-1/end",
        "line1/top-1/frame",
    ]
    assert {(schema.name, schema.encoding) for schema in summary.schemas.values()} == {
        ("stripwatch.rpc.v1.RunStart", "protobuf"),
        ("stripwatch.rpc.v1.Frame", "protobuf"),
        ("stripwatch.rpc.v1.CameraEnd", "protobuf"),
    }
    assert summary.statistics.message_count == 5
    assert summary.statistics.message_end_time == frame(2).header.captured_at_ns


def test_a_truncated_recording_is_refused_wherever_it_was_cut(tmp_path: Path) -> None:
    whole = written(tmp_path / "a.mcap", a_run(frames=20)).read_bytes()
    cut = tmp_path / "cut.mcap"
    for size in [0, 1, 7, 8, 30, *range(100, len(whole), max(1, len(whole) // 60)), len(whole) - 1]:
        cut.write_bytes(whole[:size])
        with pytest.raises(RecordingInvalid, match=r"cut\.mcap"):
            Recording(cut)


def test_a_changed_byte_is_found_or_does_not_matter(tmp_path: Path) -> None:
    events = a_run(frames=20)
    whole = written(tmp_path / "a.mcap", events).read_bytes()
    changed = tmp_path / "changed.mcap"
    refusals = []
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        data = bytearray(whole)
        data[place] ^= 0x55
        changed.write_bytes(data)
        try:
            recording = Recording(changed)
        except RecordingInvalid as error:
            refusals.append(str(error))
        else:
            assert list(recording.events()) == events
    assert len(refusals) > 20
    assert all("changed.mcap" in refusal for refusal in refusals)


def test_what_is_no_recording_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RecordingInvalid, match=r"none\.mcap: cannot be read: No such file"):
        Recording(tmp_path / "none.mcap")
    (tmp_path / "text.mcap").write_text("hello, this is a text file")
    with pytest.raises(RecordingInvalid, match=r"text\.mcap: damaged or cut short"):
        Recording(tmp_path / "text.mcap")


@pytest.mark.parametrize(
    ("profile", "schema", "says"),
    [("ros2", "x", "expected a recording of profile"), ("stripwatch.1", "ours.Unknown", "has schema 'ours.Unknown'")],
)
def test_somebody_elses_mcap_file_is_refused(tmp_path: Path, profile: str, schema: str, says: str) -> None:
    writer = Writer(str(path := tmp_path / "a.mcap"))
    writer.start(profile)
    channel = writer.register_channel("topic", "protobuf", writer.register_schema(schema, "protobuf", b""))
    writer.add_message(channel, 0, b"", 0)
    writer.finish()
    with pytest.raises(RecordingInvalid, match=says):
        Recording(path)


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([], "expected at least one run, there is none"),
        (a_run()[:-1], "run line1/s1/r1 has no end of camera top-1"),
        (a_run()[1:], "run line1/s1/r1 has no start"),
        ([start(), frame(0, camera="x"), end(1)], "has no camera 'x'"),
    ],
)
def test_a_recording_without_its_markers_is_refused(tmp_path: Path, events: list[Frame], says: str) -> None:
    with pytest.raises(RecordingInvalid, match=says):
        Recording(written(tmp_path / "a.mcap", list(events)))


def test_a_recording_is_never_written_over_another(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mcap", a_run())
    with pytest.raises(Conflict, match=r"a\.mcap: exists already"):
        RecordingWriter(path)
    (tmp_path / "b.mcap.part").touch()
    with pytest.raises(Conflict, match=r"b\.mcap\.part: exists already; .* cut short"):
        RecordingWriter(tmp_path / "b.mcap")


def test_a_recording_that_fails_leaves_no_file(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "a.mcap") as writer:
        writer.write(outgoing(start()), 0)
        assert [path.name for path in tmp_path.iterdir()] == ["a.mcap.part"]
    assert list(tmp_path.iterdir()) == []


def publish(line: LineStream, events: list[RunStart | Frame | CameraEnd]) -> None:
    feed = Publisher(line, FeedRules(live=False), Lifecycle())
    for event in events:
        if isinstance(event, RunStart):
            feed.start(event)
        elif isinstance(event, Frame):
            feed.frame(event)
        else:
            feed.end(event)
    feed.flush()


class Following:
    """A recorder at work in a thread."""

    def __init__(self, line: LineStream, path: Path, **options) -> None:  # type: ignore[no-untyped-def]
        self.lifecycle = Lifecycle()
        self.recorder = Recorder(line, path, "recorder", **({"grace_s": 0.05} | options))
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        while self.thread.is_alive() and not line.tap._memory.tap_owner:  # type: ignore[attr-defined]
            self.thread.join(0.005)

    def _run(self) -> None:
        try:
            self.recorder.record(self.lifecycle)
        except Exception as error:
            self.error = error

    def wait_for_frames(self, count: int) -> None:
        while self.thread.is_alive() and self.recorder.progress.frames < count:
            self.thread.join(0.005)

    def stop(self) -> None:
        self.lifecycle.stop()
        self.thread.join(10)


def test_the_recorder_writes_what_was_published(tmp_path: Path) -> None:
    line = MemoryStream().line("line1")
    following = Following(line, tmp_path / "a.mcap", runs=2)
    publish(line, [*a_run(), *a_run(OTHER)])
    following.thread.join(10)
    assert following.error is None
    recording = Recording(tmp_path / "a.mcap")
    assert [line.entry for line in recording.entries()] == [outgoing(one) for one in [*a_run(), *a_run(OTHER)]]
    assert following.recorder.progress.whole == [RUN, OTHER]
    assert line.tap._memory.tap_owner == ""


def test_runs_that_were_not_seen_whole_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    line = MemoryStream().line("line1")
    before, after = RunId("line1", "early", "r"), RunId("line1", "late", "r")
    publish(line, [start(before), frame(0, before)])
    following = Following(line, tmp_path / "a.mcap")
    feed = Publisher(line, FeedRules(live=False, batch_frames=1), Lifecycle())
    feed.start(start(before))
    feed.frame(frame(1, before))
    publish(line, [*a_run(), start(after), frame(0, after)])
    following.wait_for_frames(7)
    following.stop()
    assert following.error is None
    assert [line.entry for line in Recording(tmp_path / "a.mcap").entries()] == [outgoing(one) for one in a_run()]
    assert following.recorder.progress.skipped == {before}
    assert following.recorder.progress.cut == [after]
    assert "its start was not recorded" in caplog.text
    assert "had not ended" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["a.mcap"]


def test_a_gap_in_the_tap_fails_the_recording(tmp_path: Path) -> None:
    line = MemoryStream().line("line1")
    following = Following(line, tmp_path / "a.mcap")
    publish(line, [start(), frame(0)])
    following.wait_for_frames(1)
    line.tap._memory.tap_number += 3
    publish(line, [start(), frame(1)])
    following.thread.join(10)
    assert isinstance(following.error, RecordingInvalid)
    assert "expected entry 3 of the tap of line line1, got 6" in str(following.error)
    assert list(tmp_path.iterdir()) == []


def test_a_recording_of_nothing_says_so(tmp_path: Path) -> None:
    line = MemoryStream().line("line1")
    following = Following(line, tmp_path / "a.mcap")
    following.stop()
    assert "no whole run went by on line line1" in str(following.error)
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_stays_away_fails_the_recording(tmp_path: Path) -> None:
    line = MemoryStream().line("line1")

    def away(*_: object) -> None:
        raise StreamUnavailable("redis is gone")

    line.tap.read = away  # type: ignore[method-assign, assignment]
    recorder = Recorder(line, tmp_path / "a.mcap", "recorder", lease_ms=30)
    recorder._renew()
    recorder._renew = lambda: None  # type: ignore[method-assign]
    with pytest.raises(RecordingInvalid, match="redis is gone"):
        recorder.record(Lifecycle())


def ready(line: LineStream) -> None:
    for stage in ("preprocess", "aggregate"):
        line.beats.beat(stage, "w1", 60_000)


def test_a_replay_is_a_new_run_with_the_same_frames(tmp_path: Path) -> None:
    recording = Recording(written(tmp_path / "a.mcap", [*a_run(), *a_run(OTHER)]))
    line = MemoryStream().line("line2")
    ready(line)
    runs = Replayer(line, FeedRules(live=False)).replay(recording, Lifecycle(), recipe="paper")
    assert [(run.line, run.strip) for run in runs] == [("line2", "s1"), ("line2", "s2")]
    assert not {run.run for run in runs} & {"r1", "r2"}
    entries = take(line)
    names = dict(zip((RUN, OTHER), runs, strict=True))
    frames = [event for event in recording.events() if isinstance(event, Frame)]
    sent = [entry for entry in entries if entry.kind is Kind.FRAME]
    assert [entry.pixels for entry in sent] == [one.pixels for one in frames]
    assert [entry.run for entry in sent] == [names[one.header.run] for one in frames]
    assert [entry.kind for entry in entries].count(Kind.END) == 2
    assert line.source.hold("camera", live=True, ttl_ms=1000) is None, "the line is free again"


def test_only_names_and_start_time_of_a_replay_differ() -> None:
    events = a_run()
    first, second = (list(as_new_runs(events, "line9")) for _ in range(2))
    for old, one, other in zip(events, first, second, strict=True):
        if isinstance(old, Frame) and isinstance(one, Frame) and isinstance(other, Frame):
            assert one.pixels == other.pixels == old.pixels
            assert replace(one.header, run=RUN) == replace(other.header, run=RUN) == old.header
    assert isinstance(first[0], RunStart)
    assert not first[0].live
    assert first[0].recipe == "hot-rolled"


def test_a_replay_waits_for_workers_and_names_those_that_are_missing(tmp_path: Path) -> None:
    recording = Recording(written(tmp_path / "a.mcap", a_run()))
    line = MemoryStream().line("line1")
    line.beats.beat("preprocess", "w1", 60_000)
    with pytest.raises(PeerUnavailable, match=r"line line1: no aggregate worker was heard of within 0.2 s"):
        Replayer(line, FeedRules(live=False), consumers=Consumers(wait_s=0.2)).replay(recording, Lifecycle())
    assert take(line) == []


def test_a_replay_refuses_a_line_that_a_live_source_holds(tmp_path: Path) -> None:
    recording = Recording(written(tmp_path / "a.mcap", a_run()))
    line = MemoryStream().line("line1")
    ready(line)
    with Hold(line, "camera", live=True, stage="ingest"), pytest.raises(Conflict, match="a live source has it"):
        Replayer(line, FeedRules(live=False)).replay(recording, Lifecycle())
    assert take(line) == []


def test_lock_step_sends_a_frame_only_when_the_one_before_is_judged(tmp_path: Path) -> None:
    recording = Recording(written(tmp_path / "a.mcap", a_run()))
    line = MemoryStream().line("line1")
    ready(line)
    most: list[int] = []
    done = threading.Event()

    def judge() -> None:
        while not done.is_set():
            most.append(sum(entry.kind is Kind.FRAME for entry in take(line)))
            for entry in line.results.read("test", 100, 0):
                line.results.ack(entry.id)
            done.wait(0.002)

    worker = threading.Thread(target=judge)
    worker.start()
    try:
        Replayer(line, FeedRules(live=False), lock_step=True).replay(recording, Lifecycle())
    finally:
        done.set()
        worker.join()
    assert sum(most) == 6
    assert max(most) == 1


def test_lock_step_says_which_frame_is_never_judged(tmp_path: Path) -> None:
    recording = Recording(written(tmp_path / "a.mcap", a_run()))
    line = MemoryStream().line("line1")
    ready(line)
    replayer = Replayer(line, FeedRules(live=False), lock_step=True, step_timeout_s=0.1)
    with pytest.raises(DeadlineExceeded, match=r"top-1\[0\] was not judged within 0.1 s: 2 frames and 0 results wait"):
        replayer.replay(recording, Lifecycle())
