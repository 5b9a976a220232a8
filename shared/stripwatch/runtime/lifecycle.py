"""Start, run, stop: SIGTERM and SIGINT mean finish what is in flight and go."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType

from stripwatch.errors import StripwatchError


class Lifecycle:
    """Whether the process is to go on. Waits end at once when it is told to stop."""

    def __init__(self) -> None:
        self._stopping = threading.Event()

    @property
    def running(self) -> bool:
        return not self._stopping.is_set()

    def stop(self) -> None:
        self._stopping.set()

    def sleep(self, seconds: float) -> bool:
        """Waits, and says whether the process is still to go on."""
        return not self._stopping.wait(seconds)

    def listen(self) -> None:
        """Takes SIGTERM and SIGINT as the word to stop; a second one ends the process at once."""

        def on_signal(number: int, _frame: FrameType | None) -> None:
            if self._stopping.is_set():
                sys.exit(128 + number)
            self._stopping.set()

        signal.signal(signal.SIGTERM, on_signal)
        signal.signal(signal.SIGINT, on_signal)


def main(run: Callable[[], None]) -> None:
    """Runs a service's entry point; a known error becomes one line and its exit code, never a traceback."""
    try:
        run()
    except StripwatchError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        traceback.print_exc()
        sys.exit(70)
