"""A recording as a source: its runs once more, as new ones."""

from __future__ import annotations

from collections.abc import Iterator

from stripwatch.recording import Recording, as_new_runs
from stripwatch_ingest.source import Event


class RecordingSource:
    """Frames as they were recorded. `Recording` has checked the file from end to end already."""

    def __init__(self, recording: Recording, line: str, *, live: bool) -> None:
        self._recording = recording
        self._line = line
        self._live = live

    def ready(self) -> str | None:
        return None

    def close(self) -> None:
        """Nothing stays open."""

    def events(self) -> Iterator[Event]:
        return as_new_runs(self._recording.events(), self._line, live=self._live)
