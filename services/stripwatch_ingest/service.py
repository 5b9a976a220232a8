"""Camera-ingest: takes frames from its source, in their pace, and accounts for every one of them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from stripwatch.domain.frame import Frame
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.feed import FeedRules, Hold, Pace, Publisher, owner_name
from stripwatch.ports import LineStream
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.runtime.logging import of_run
from stripwatch_ingest.source import FrameSource

log = logging.getLogger(__name__)

STAGE = "ingest"


class Ingest:
    """Brings one source's frames onto one line, until the source is done or the process is told to stop."""

    def __init__(
        self,
        line: LineStream,
        source: FrameSource,
        rules: FeedRules,
        pace: Pace,
        lifecycle: Lifecycle,
        drain_s: float,
        shrink: Callable[[Frame], Frame] = lambda frame: frame,
        patient: Callable[[float], bool] = lambda _wait: False,
    ) -> None:
        """Before it begins a stream that is away is waited for while `patient` says so, and `drain_s` when it ends."""
        self._line = line
        self._source = source
        self._pace = pace
        self._live = rules.live
        self._lifecycle = lifecycle
        self._drain_s = drain_s
        self._shrink = shrink
        self._patient = patient
        self._publisher = Publisher(line, rules, lifecycle)

    def run(self) -> None:
        """Conflict if the line is held by a source of the other kind."""
        with Hold(self._line, owner_name(), live=self._live, stage=STAGE, patient=self._patient) as hold:
            try:
                for event in self._source.events():
                    hold.check()
                    if not self._lifecycle.running or not self._send(event):
                        break
            finally:
                self._stop()

    def _send(self, event: RunStart | Frame | CameraEnd) -> bool:
        """False if told to stop before the run could start."""
        if isinstance(event, RunStart):
            log.info("run starts", extra={**of_run(event.run), "cameras": len(event.cameras)})
            return self._publisher.start(event)
        if isinstance(event, Frame):
            self._wait_until_due(event)
            self._publisher.frame(self._shrink(event))
        else:
            self._publisher.end(event)
            self._pace.forget(event.run)
        return True

    def _wait_until_due(self, frame: Frame) -> None:
        wait = self._pace.wait_s(frame.header)
        if wait > 0:
            self._publisher.flush()
            self._lifecycle.sleep(wait)

    def _stop(self) -> None:
        """Stops reading; runs in progress are ended as far as they came; all that was taken is delivered."""
        self._source.close()
        self._publisher.close(self._drain_s)
        log.info("source is done", extra={"sent": self._publisher.sent, "shed": self._publisher.shed})
