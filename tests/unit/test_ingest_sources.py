"""Sources: what each makes of good input, and the name of what is wrong with bad input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from stripwatch.domain.camera import Side
from stripwatch.domain.frame import Encoding, Frame, IndexRange
from stripwatch.domain.strip import CameraEnd, RunStart, Shed
from stripwatch.errors import BadInput
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.simulate import render
from stripwatch.simulate.series import StripSeries
from stripwatch_ingest.source import Event, RunTemplate
from stripwatch_ingest.sources.capture import Capture
from stripwatch_ingest.sources.folder import FolderSource
from stripwatch_ingest.sources.image_file import size_of
from stripwatch_ingest.sources.simulator import SimulatorSource
from stripwatch_ingest.sources.video import VideoSource, shown
from unit.feeding import Clock

TEMPLATE = RunTemplate("line1", "hot-rolled", live=False, mm_per_px=0.5)
GREY = np.arange(60 * 80, dtype=np.uint8).reshape(60, 80)


def split(events: Sequence[Event]) -> tuple[RunStart, list[Frame], list[CameraEnd]]:
    """A single run's start, frames and ends, which have to come in that order."""
    start, *rest = events
    frames = [event for event in rest if isinstance(event, Frame)]
    ends = [event for event in rest if isinstance(event, CameraEnd)]
    assert isinstance(start, RunStart)
    assert [*frames, *ends] == rest
    return start, frames, ends


def write(path: Path, image: np.ndarray = GREY) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


def test_the_images_of_a_folder_lie_one_after_another_in_natural_order(tmp_path: Path) -> None:
    folder = tmp_path / "coil 7"
    folder.mkdir()
    for number, rows in ((10, 30), (2, 60), (1, 40)):
        write(folder / f"img{number}.png", GREY[:rows])
    start, frames, ends = split(list(FolderSource(folder, TEMPLATE).events()))
    assert start.run.strip == "coil-7"
    assert (start.length_mm, start.width_mm) == (65.0, 40.0)
    assert [(one.header.index, one.header.x_mm, one.header.height) for one in frames] == [
        (0, 0.0, 40),
        (1, 20.0, 60),
        (2, 50.0, 30),
    ]
    assert (ends[0].frames, ends[0].shed) == (3, ())


def test_png_and_jpeg_pass_unchanged_and_bmp_goes_as_raw(tmp_path: Path) -> None:
    files = [write(tmp_path / name) for name in ("a.png", "b.jpg", "c.bmp", "d.tif")]
    _, frames, _ = split(list(FolderSource(tmp_path, TEMPLATE).events()))
    assert [one.header.encoding for one in frames] == [Encoding.PNG, Encoding.JPEG, Encoding.RAW, Encoding.RAW]
    assert [one.pixels for one in frames[:2]] == [file.read_bytes() for file in files[:2]]
    assert [one.pixels for one in frames[2:]] == [GREY.tobytes()] * 2
    assert {(one.header.height, one.header.width) for one in frames} == {(60, 80)}


def test_damaged_16_bit_and_colour_images_are_sent_for_the_worker_to_refuse(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    write(tmp_path / "b.png", GREY.astype(np.uint16) * 200)
    write(tmp_path / "c.bmp", np.dstack([GREY, GREY // 2, GREY]))
    bmp = write(tmp_path / "d.bmp").read_bytes()
    (tmp_path / "d.bmp").write_bytes(bmp[:30])
    _, frames, ends = split(list(FolderSource(tmp_path, TEMPLATE).events()))
    assert [one.header.encoding for one in frames] == [Encoding.PNG, Encoding.PNG, Encoding.PNG, Encoding.RAW]
    assert [(one.header.height, one.header.width) for one in frames] == [(60, 80)] * 4
    colour = cv2.imdecode(np.frombuffer(frames[2].pixels, np.uint8), cv2.IMREAD_UNCHANGED)
    assert colour is not None
    assert colour.shape == (60, 80, 3)
    assert ends[0].shed == ()


def test_a_file_without_even_a_size_is_declared_shed_by_name(tmp_path: Path) -> None:
    write(tmp_path / "a1.png")
    (tmp_path / "a2.png").write_bytes(b"not an image")
    (tmp_path / "a3.jpg").write_bytes(b"")
    write(tmp_path / "a4.png")
    _, frames, ends = split(list(FolderSource(tmp_path, TEMPLATE).events()))
    assert [(one.header.index, one.header.x_mm) for one in frames] == [(0, 0.0), (3, 90.0)]
    assert ends[0].frames == 4
    assert ends[0].shed == (
        Shed(IndexRange(1, 1), "a2.png: no image that can be read"),
        Shed(IndexRange(2, 2), "a3.jpg: no image that can be read"),
    )


def test_an_image_that_is_too_large_is_refused_from_its_header(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "a.png").read_bytes())
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(BadInput, match=r"a\.png: expected at most 64000000 px, got 100000 x 100000"):
        size_of(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_the_size_comes_from_the_header(tmp_path: Path, suffix: str) -> None:
    size = size_of(write(tmp_path / f"a{suffix}"))
    assert (size.height, size.width) == (60, 80)


def test_an_empty_missing_or_imageless_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(BadInput, match=f"{tmp_path}: expected images .* there are none"):
        FolderSource(tmp_path, TEMPLATE)
    with pytest.raises(BadInput, match="missing: expected a folder of images: No such file"):
        FolderSource(tmp_path / "missing", TEMPLATE)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(BadInput, match=r"at least one readable image; a\.png"):
        FolderSource(tmp_path, TEMPLATE)


def simulator(**changes):  # type: ignore[no-untyped-def]
    series = StripSeries(7, 300.0, 200.0, 0.5, (Side.TOP, Side.BOTTOM), (0, 1))
    options = {"strips": 1, "cameras_per_side": 2, "frame_height": 200, "encoding": Encoding.RAW} | changes
    return series, SimulatorSource(series, TEMPLATE, **options)


def test_simulated_cameras_see_the_whole_width_with_overlap_and_background() -> None:
    series, source = simulator()
    start, frames, ends = split(list(source.events()))
    assert start.simulated
    assert [camera.name for camera in start.cameras] == ["top-1", "top-2", "bottom-1", "bottom-2"]
    assert [(one.camera, one.frames) for one in ends] == [(camera.name, 4) for camera in start.cameras]
    first, second = frames[0].header, frames[1].header
    assert first.y_mm == -20.0
    assert second.y_mm < first.y_mm + first.width * 0.5 < second.y_mm + second.width * 0.5
    assert second.y_mm + second.width * 0.5 >= 220.0
    assert first.x_mm < 0
    plan = series.plan(0)
    for one in frames:
        header = one.header
        at = (round(header.x_mm / 0.5), header.height, round(header.y_mm / 0.5), header.width)
        assert one.pixels == render(plan, header.side, *at).tobytes()
    assert frames[-4].header.x_mm + 100.0 >= 320.0 - 1e-9


def test_simulated_strips_take_their_number_of_defects_in_turn() -> None:
    series, source = simulator(strips=3, cameras_per_side=1)
    starts = [event for event in source.events() if isinstance(event, RunStart)]
    assert [start.run.strip for start in starts] == ["sim-7", "sim-8", "sim-9"]
    assert [len(series.truth(number)) for number in range(3)] == [0, 1, 0]
    assert len({start.run.run for start in starts}) == 3


def video(path: Path, frames: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (80, 60))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((60, 80, 3), number * 10, dtype=np.uint8))
    writer.release()
    return path


def from_video(place: Path | str, lifecycle: Lifecycle | None = None, **changes):  # type: ignore[no-untyped-def]
    options = {"frames_per_run": 0, "length_mm": 6000.0, "timeout_s": 2.0} | changes
    return VideoSource(str(place), TEMPLATE, lifecycle or Lifecycle(), **options)


def test_a_video_file_is_one_run_of_grey_frames(tmp_path: Path) -> None:
    start, frames, ends = split(list(from_video(video(tmp_path / "pass 1.avi", 10)).events()))
    assert start.run.strip == "pass-1"
    assert [one.header.index for one in frames] == list(range(10))
    assert [one.header.x_mm for one in frames] == [index * 30.0 for index in range(10)]
    means = [np.frombuffer(one.pixels, np.uint8).mean() for one in frames]
    assert np.allclose(means, np.arange(10) * 10, atol=3)
    assert (ends[0].frames, ends[0].shed) == (10, ())


def test_a_video_file_can_be_cut_into_runs(tmp_path: Path) -> None:
    events = list(from_video(video(tmp_path / "a.avi", 10), frames_per_run=4).events())
    assert [event.run.strip for event in events if isinstance(event, RunStart)] == ["a-1", "a-2", "a-3"]
    assert [event.frames for event in events if isinstance(event, CameraEnd)] == [4, 4, 2]


def test_a_video_that_is_cut_off_says_how_much_is_missing(tmp_path: Path) -> None:
    path = video(tmp_path / "a.avi", 24)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    _, frames, ends = split(list(from_video(path).events()))
    assert 0 < len(frames) < 24
    assert ends[0].frames == 24
    assert ends[0].shed == (Shed(IndexRange(len(frames), 23), "video ends early"),)


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.avi").write_bytes(b"nothing" * 100)
    with pytest.raises(BadInput, match=r"a\.avi: expected a video"):
        from_video(tmp_path / "a.avi")
    with pytest.raises(BadInput, match="expected a video file or a camera's address, there is none"):
        from_video(tmp_path / "none.avi")


def test_a_camera_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(BadInput, match=r"rtsp://127\.0\.0\.1:9/cam: expected a video that can be opened within 1 s"):
        from_video("rtsp://user:secret@127.0.0.1:9/cam", timeout_s=1.0)
    assert shown("http://user:secret@camera/x") == "http://camera/x"


class FakeCamera(Capture):
    """A camera whose connections give so many frames each, at 10 frames/s on the test's clock."""

    def __init__(self, clock: Clock, connections: list[int], away_s: float) -> None:
        self.clock, self.connections, self.away_s = clock, connections, away_s
        self.left = 0

    def __call__(self, _place: str, _shown: str, _timeout_s: float) -> FakeCamera:
        if not self.connections:
            raise BadInput("gone")
        if self.left == 0 and len(self.connections) < self.opened:
            self.clock.now += self.away_s
        self.left = self.connections.pop(0)
        return self

    opened = 3
    frames_per_s = 10.0
    frames = 0

    def read(self) -> np.ndarray | None:
        if not self.left:
            return None
        self.left -= 1
        return GREY

    def close(self) -> None:
        self.left = 0


def camera_events(connections: list[int], away_s: float, count: int) -> list[Event]:
    clock, lifecycle = Clock(), Lifecycle()
    camera = FakeCamera(clock, connections, away_s)
    camera.opened = len(connections)
    source = from_video("rtsp://cam", lifecycle, frames_per_run=10, opened=camera, clock=clock)
    lifecycle.sleep = lambda _seconds: lifecycle.running  # type: ignore[method-assign]
    events: list[Event] = []
    for event in source.events():
        events.append(event)
        if len(events) == count:
            lifecycle.stop()
            break
    return events


def test_what_a_camera_missed_while_it_was_away_is_declared() -> None:
    start, frames, ends = split(camera_events([4, 50], away_s=0.3, count=1 + 7 + 1))
    assert start.length_mm == 300.0
    assert [one.header.index for one in frames] == [0, 1, 2, 3, 7, 8, 9]
    assert ends == [CameraEnd(start.run, "top-1", 10, (Shed(IndexRange(4, 6), "camera away"),))]


def test_a_strip_that_ran_through_while_the_camera_was_away_is_ended() -> None:
    events = camera_events([4, 50], away_s=60.0, count=1 + 4 + 1 + 2)
    assert isinstance(events[5], CameraEnd)
    assert events[5].shed == (Shed(IndexRange(4, 9), "camera away"),)
    assert isinstance(events[6], RunStart)
    assert isinstance(events[7], Frame)
    assert events[7].header.index == 0
