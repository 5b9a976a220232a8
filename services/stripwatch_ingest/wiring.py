"""From settings to a source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stripwatch.domain.frame import Frame
from stripwatch.errors import SettingsInvalid
from stripwatch.feed import Pace, by_line_speed
from stripwatch.feed.shrink import Shrink
from stripwatch.recording import Recording
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.simulate.series import StripSeries
from stripwatch_ingest.settings import IngestSettings
from stripwatch_ingest.source import FrameSource, RunTemplate
from stripwatch_ingest.sources.folder import FolderSource
from stripwatch_ingest.sources.recording import RecordingSource
from stripwatch_ingest.sources.simulator import SimulatorSource
from stripwatch_ingest.sources.video import VideoSource, is_address

DEFAULT_WIDTH_MM = 400.0


def is_live(settings: IngestSettings) -> bool:
    """As set; by default only a camera that has an address is live."""
    return _is_camera(settings) if settings.live is None else settings.live


def pace(settings: IngestSettings) -> Pace:
    """The line's speed; a camera sets its own."""
    return Pace(None if _is_camera(settings) or not settings.speed_m_per_s else by_line_speed(settings.speed_m_per_s))


def shrink(settings: IngestSettings) -> Callable[[Frame], Frame]:
    """What is done to each frame before it is sent."""
    return (lambda frame: frame) if settings.send_mm_per_px is None else Shrink(settings.send_mm_per_px)


def source(settings: IngestSettings, lifecycle: Lifecycle) -> FrameSource:
    """The source that the settings name. BadInput where it cannot be had."""
    kind, place = settings.source_parts
    template = RunTemplate(
        settings.line,
        settings.recipe,
        is_live(settings),
        settings.mm_per_px,
        settings.strip,
        settings.run,
        settings.width_mm,
    )
    if kind == "folder":
        return FolderSource(Path(place), template)
    if kind == "video":
        return VideoSource(
            place,
            template,
            lifecycle,
            frames_per_run=settings.frames_per_run,
            length_mm=settings.length_mm,
            timeout_s=settings.camera_timeout_seconds,
            encoding=settings.encoding,
        )
    if kind == "recording":
        return RecordingSource(Recording(Path(place)), settings.line, live=is_live(settings))
    if settings.sim_strips != 1 and settings.run and settings.strip:
        raise SettingsInvalid("STRIPWATCH_RUN: expected none with STRIPWATCH_STRIP and several simulated strips")
    return SimulatorSource(
        series(settings),
        template,
        strips=settings.sim_strips,
        cameras_per_side=settings.cameras,
        frame_height=settings.frame_height,
        encoding=settings.encoding,
    )


def series(settings: IngestSettings) -> StripSeries:
    """The strips that the simulator will show."""
    return StripSeries(
        settings.sim_seed,
        settings.length_mm,
        settings.width_mm or DEFAULT_WIDTH_MM,
        settings.mm_per_px,
        settings.sides,
        settings.sim_defects,
    )


def _is_camera(settings: IngestSettings) -> bool:
    kind, place = settings.source_parts
    return kind == "video" and is_address(place)
