"""Start, run, stop: SIGTERM and SIGINT mean finish what is in flight and go."""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from types import FrameType

from stripwatch.domain.names import printable
from stripwatch.errors import StripwatchError
from stripwatch.runtime import tracing
from stripwatch.runtime.memory import keep_freed

STUCK_S = 120.0
"""A loop that did not come round for so long does not turn any more: no call that it makes waits nearly as long."""


class Lifecycle:
    """Whether the process is to go on. Waits end at once when it is told to stop."""

    def __init__(self) -> None:
        # A pipe and a flag, not an Event: a signal handler that takes a lock may wait for ever for what it interrupts.
        self._stopping = False
        self._turned: weakref.WeakKeyDictionary[threading.Thread, float] = weakref.WeakKeyDictionary()
        self._woken, self._wake = os.pipe()
        weakref.finalize(self, _close, self._woken, self._wake)

    @property
    def running(self) -> bool:
        """Whether to go on; each loop asks once a turn."""
        self._turned[threading.current_thread()] = time.monotonic()
        return not self._stopping

    @property
    def turning(self) -> bool:
        """Whether every loop came round lately; one that waits in `sleep` does. What ends takes as long as it takes."""
        since = time.monotonic() - STUCK_S
        return self._stopping or all(at > since for loop, at in list(self._turned.items()) if loop.is_alive())

    def stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            os.write(self._wake, b"x")

    def sleep(self, seconds: float) -> bool:
        """Waits, and says whether the process is still to go on."""
        if not self._stopping:
            self._turned[threading.current_thread()] = math.inf
            select.select([self._woken], [], [], max(0.0, seconds))
        return self.running

    def when_stopping(self, act: Callable[[], None]) -> None:
        """Calls `act`, in a thread of its own, once the process is told to stop: whatever else it is busy with."""

        def wait() -> None:
            select.select([self._woken], [], [])
            act()

        threading.Thread(target=wait, name="stopping", daemon=True).start()

    def listen(self) -> None:
        """Takes SIGTERM and SIGINT as the word to stop; a second one ends the process at once."""

        def on_signal(number: int, _frame: FrameType | None) -> None:
            if self._stopping:
                sys.exit(128 + number)
            self.stop()

        signal.signal(signal.SIGTERM, on_signal)
        signal.signal(signal.SIGINT, on_signal)


def _close(*pipe: int) -> None:
    for end in pipe:
        os.close(end)


def main(run: Callable[[], None]) -> None:
    """Runs a service's entry point; a known error becomes one line and its exit code, never a traceback."""
    keep_freed()
    try:
        run()
    except StripwatchError as error:
        sys.stderr.write(f"{printable(str(error))}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        sys.stderr.writelines(f"{printable(line)}\n" for line in traceback.format_exc().splitlines())
        sys.exit(70)
    finally:
        tracing.close()
