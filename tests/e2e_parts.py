"""What the end-to-end tests share beyond fixtures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stripwatch.domain.frame import RunId
from stripwatch.errors import Conflict
from stripwatch.feed import owner_name
from stripwatch.local import Pipeline
from stripwatch.ports import LineStream
from stripwatch.recording import Recorder
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.simulate.series import StripSeries

SERIES = StripSeries(3_000_000, 2_000.0, 400.0, 0.5, defects=(0, 2, 3))
Start = Callable[..., Pipeline]


def until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not after {seconds:g} s"
        time.sleep(0.02)


def judged(line: LineStream, run: RunId) -> int:
    """How many frames of an open run are judged."""
    state = line.runs.state(run)
    return sum(int.from_bytes(one.judged).bit_count() for one in state.cameras.values()) if state else 0


@contextmanager
def recording_of(line: LineStream, path: Path, runs: int) -> Iterator[None]:
    """Records that many runs of a line while the block sends them."""
    lifecycle, failed = Lifecycle(), []

    def record() -> None:
        try:
            Recorder(line, path, owner_name(), runs=runs).record(lifecycle)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=record)
    thread.start()
    until(lambda: bool(failed) or _tapped(line), "the recorder")
    try:
        yield
    finally:
        thread.join(60.0)
        lifecycle.stop()
        thread.join(60.0)
    assert not failed, failed


def _tapped(line: LineStream) -> bool:
    try:
        line.tap.lease("probe", 1)
    except Conflict:
        return True
    line.tap.release("probe")
    return False
