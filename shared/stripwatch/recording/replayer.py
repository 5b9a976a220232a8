"""Publishes a recording again, as new runs, when there is somebody to judge them."""

from __future__ import annotations

from collections.abc import Callable

from stripwatch.domain.frame import Frame, RunId
from stripwatch.domain.strip import RunStart
from stripwatch.errors import DeadlineExceeded
from stripwatch.feed import FeedRules, Hold, Pace, Publisher, owner_name
from stripwatch.ports import LineStream
from stripwatch.recording.consumers import Consumers
from stripwatch.recording.reader import Recording
from stripwatch.recording.rename import as_new_runs
from stripwatch.runtime.deadline import Deadline
from stripwatch.runtime.lifecycle import Lifecycle

STAGE = "replay"

_STEP_S = 0.002


class Replayer:
    """Replays into one line: in the recording's pace, scaled, flat out, or frame by frame.

    `lock_step` sends a frame only when the line holds no frame and no result any more. Conflict if a source holds the
    line; PeerUnavailable if consumers are missing; DeadlineExceeded if a frame of a lock-step replay is never judged.
    """

    def __init__(
        self,
        line: LineStream,
        rules: FeedRules,
        *,
        pace: Pace | None = None,
        lock_step: bool = False,
        step_timeout_s: float = 60.0,
        consumers: Consumers | None = None,
        on_frame: Callable[[Frame], None] = lambda _frame: None,
    ) -> None:
        self._line = line
        self._rules = rules
        self._pace = pace or Pace()
        self._lock_step = lock_step
        self._step_timeout_s = step_timeout_s
        self._consumers = consumers or Consumers()
        self._on_frame = on_frame

    def replay(self, recording: Recording, lifecycle: Lifecycle, *, recipe: str | None = None) -> list[RunId]:
        """Publishes the whole recording; the new runs, in the order of their starts."""
        runs: list[RunId] = []
        with Hold(self._line, owner_name(), live=False, stage=STAGE) as hold:
            self._consumers.wait(self._line, lifecycle)
            publisher = Publisher(self._line, self._rules, lifecycle)
            try:
                for event in as_new_runs(recording.events(), self._line.line, recipe=recipe):
                    hold.check()
                    if not lifecycle.running:
                        break
                    if isinstance(event, RunStart):
                        runs.append(event.run)
                        if not publisher.start(event):
                            break
                    elif isinstance(event, Frame):
                        self._send(publisher, event, lifecycle)
                    else:
                        publisher.end(event)
            finally:
                publisher.close(self._rules.run_deadline_s)
        return runs

    def _send(self, publisher: Publisher, frame: Frame, lifecycle: Lifecycle) -> None:
        wait = self._pace.wait_s(frame.header)
        if wait:
            publisher.flush()
            lifecycle.sleep(wait)
        publisher.frame(frame)
        self._on_frame(frame)
        if self._lock_step:
            publisher.flush()
            self._wait_until_judged(frame, lifecycle)

    def _wait_until_judged(self, frame: Frame, lifecycle: Lifecycle) -> None:
        deadline = Deadline.after(self._step_timeout_s)
        while (frames := self._line.frames.backlog().waiting) + (results := self._line.results.backlog().waiting):
            if not deadline.left():
                raise DeadlineExceeded(
                    f"frame {frame.header} was not judged within {self._step_timeout_s:g} s: "
                    f"{frames} frames and {results} results wait on line {self._line.line}"
                )
            if not lifecycle.sleep(_STEP_S):
                return
