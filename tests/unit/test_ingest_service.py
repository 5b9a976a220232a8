"""Camera-ingest as a whole, on a stream in memory: every frame of its source is accounted for, whatever stops it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from stripwatch.domain.frame import Frame, IndexRange
from stripwatch.domain.strip import RunStart, Shed
from stripwatch.errors import BadInput, Conflict, RecordingInvalid, SettingsInvalid
from stripwatch.feed import FeedRules, Pace, by_line_speed
from stripwatch.ports import Kind
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.runtime.settings import load
from stripwatch.stream.memory import MemoryStream
from stripwatch_ingest import wiring
from stripwatch_ingest.service import Ingest
from stripwatch_ingest.settings import IngestSettings
from stripwatch_ingest.source import Event
from stripwatch_ingest.sources.folder import natural
from unit.feeding import Clock, end, ends, frame, indices, start, take


class Scripted:
    """A source of given events; raises or stops the process where it is told to."""

    def __init__(self, events: list[Event], then: Exception | Lifecycle | None = None) -> None:
        self.scripted, self.then, self.closed = events, then, False

    def events(self) -> Iterator[Event]:
        yield from self.scripted
        if isinstance(self.then, Lifecycle):
            self.then.stop()
            yield frame(99)
        elif self.then:
            raise self.then

    def ready(self) -> str | None:
        return None

    def close(self) -> None:
        self.closed = True


def ingest(line, source, lifecycle=None, pace=None, live=False):  # type: ignore[no-untyped-def]
    service = Ingest(line, source, FeedRules(live=live), pace or Pace(), lifecycle or Lifecycle(), 1.0)
    service.run()


def test_a_source_that_is_done_leaves_a_whole_run_and_a_free_line() -> None:
    line = MemoryStream().line("line1")
    source = Scripted([start(), frame(0), frame(1), end(2)])
    ingest(line, source)
    assert [entry.kind for entry in take(line)] == [Kind.START, Kind.FRAME, Kind.FRAME, Kind.END]
    assert source.closed
    line.source.hold("other", live=True, ttl_ms=1000)


def test_what_is_to_be_done_to_frames_is_done_before_they_are_sent() -> None:
    line = MemoryStream().line("line1")

    def dark(one: Frame) -> Frame:
        return Frame(one.header, bytes(len(one.pixels)))

    source = Scripted([start(), frame(0), end(1)])
    Ingest(line, source, FeedRules(live=False), Pace(), Lifecycle(), 1.0, dark).run()
    assert [set(entry.pixels) for entry in take(line) if entry.kind is Kind.FRAME] == [{0}]


def test_a_stop_in_mid_run_ends_it_with_what_was_sent() -> None:
    line, lifecycle = MemoryStream().line("line1"), Lifecycle()
    source = Scripted([start(length_mm=500.0), frame(0), frame(1)], lifecycle)
    ingest(line, source, lifecycle)
    entries = take(line)
    assert indices(entries) == [0, 1]
    assert (ends(entries)[0].frames, ends(entries)[0].shed) == (5, (Shed(IndexRange(2, 4), "source stopped"),))
    assert source.closed


def test_a_source_that_breaks_in_mid_run_still_ends_it() -> None:
    line = MemoryStream().line("line1")
    with pytest.raises(BadInput, match="broken"):
        ingest(line, Scripted([start(), frame(0)], BadInput("broken")))
    assert ends(take(line))[0].shed == (Shed(IndexRange(1, 1), "source stopped"),)


def test_two_sources_of_different_kinds_cannot_feed_one_line() -> None:
    line = MemoryStream().line("line1")
    line.source.hold("camera", live=True, ttl_ms=60_000)
    with pytest.raises(Conflict, match="line line1"):
        ingest(line, Scripted([start()]))
    assert take(line) == []


def test_frames_that_wait_for_the_pace_do_not_hold_back_those_before_them() -> None:
    line, lifecycle, clock = MemoryStream().line("line1"), Lifecycle(), Clock()
    waits: list[tuple[float, int]] = []

    def sleep(seconds: float) -> bool:
        clock.now += seconds
        waits.append((round(seconds, 4), line.frames.backlog().waiting))
        return True

    lifecycle.sleep = sleep  # type: ignore[method-assign]
    ingest(line, Scripted([start(), *map(frame, range(4)), end(4)]), lifecycle, Pace(by_line_speed(20.0), clock))
    assert waits == [(0.005, 2), (0.005, 3), (0.005, 4)]


def settings(**values: object) -> IngestSettings:
    return load(IngestSettings, **values)


def test_the_settings_name_the_source(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((10, 10), np.uint8))
    line = MemoryStream().line("line1")
    chosen = settings(source=f"folder:{tmp_path}", recipe="paper", strip="coil1", run="r7", mm_per_px=0.25)
    ingest(line, wiring.source(chosen, Lifecycle()))
    assert str(take(line)[0].run) == "line1/coil1/r7"
    simulated = wiring.source(settings(sides="top,bottom", cameras=3, length_mm=500, sim_defects="0"), Lifecycle())
    first = next(iter(simulated.events()))
    assert isinstance(first, RunStart)
    assert len(first.cameras) == 6


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"source": "nothing:x"}, "STRIPWATCH_SOURCE"),
        ({"line": "a b"}, "STRIPWATCH_LINE"),
        ({"strip": "../x"}, "STRIPWATCH_STRIP"),
        ({"sides": "left"}, "STRIPWATCH_SIDES"),
        ({"sim_defects": "1,-2"}, "STRIPWATCH_SIM_DEFECTS"),
        ({"speed_m_per_s": -1}, "STRIPWATCH_SPEED_M_PER_S"),
        ({"encoding": "gif"}, "STRIPWATCH_ENCODING"),
    ],
)
def test_a_wrong_setting_is_named(values: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsInvalid, match=says):
        settings(**values)


def test_a_camera_password_is_in_no_message() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        settings(source="rtsp://user:hunter2@camera/x")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(settings(source="video:rtsp://user:hunter2@camera/x"))


def test_a_corrupt_recording_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "a.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(100))
    with pytest.raises(RecordingInvalid, match=r"a\.mcap"):
        wiring.source(settings(source=f"recording:{tmp_path / 'a.mcap'}"), Lifecycle())


def test_only_a_camera_address_is_live_by_itself() -> None:
    assert wiring.is_live(settings(source="video:rtsp://cam/1"))
    assert not wiring.is_live(settings(source="video:/some/file.avi"))
    assert not wiring.is_live(settings())
    assert wiring.is_live(settings(live=True))


def test_names_sort_as_people_count() -> None:
    assert sorted(["b10", "b2", "B1", "a", "10", "9"], key=natural) == ["9", "10", "a", "B1", "b2", "b10"]
