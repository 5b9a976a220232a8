"""One process of the pipeline: started on a leash, its output passed on line by line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stripwatch.domain.names import printable
from stripwatch.errors import StripwatchError

Sink = Callable[[str, str], None]
"""Takes a child's name and one line of its output."""

_LEASH = Path(__file__).with_name("leash.py")
_TAIL_LINES = 20
_SIGNALS = {one.value: one.name for one in signal.Signals}  # real-time ones have no name


@dataclass(frozen=True, slots=True)
class Spec:
    """What to run. `env` is added to our own environment; `may_end` says that exit 0 is its proper end."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    may_end: bool = False


class Child:
    """A process that dies with us. The leash is held by the thread that starts it: start it from one that stays."""

    def __init__(self, spec: Spec, sink: Sink) -> None:
        self.spec = spec
        self.started_at = 0.0
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._sink = sink
        self._process: subprocess.Popen[bytes] | None = None
        self._pump: threading.Thread | None = None

    def start(self) -> None:
        leash = (sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()))
        try:
            # in a session of its own: a Ctrl-C on the terminal is ours to pass on, in order
            self._process = subprocess.Popen(  # noqa: S603 - commands are ours
                (*leash, *self.spec.command),
                env={**os.environ, **self.spec.env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise StripwatchError(f"{self.spec.name}: cannot start {self.spec.command[0]}: {error.strerror}") from error
        self.started_at = time.monotonic()
        self._pump = threading.Thread(target=self._pass_on, args=(self._process,), daemon=True)
        self._pump.start()

    def _pass_on(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is None:
            return
        with process.stdout as lines:
            for raw in lines:
                line = printable(raw.decode(errors="replace").rstrip())
                self.tail.append(line)
                self._sink(self.spec.name, line)

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def code(self) -> int | None:
        """The exit status; negative: the signal that ended it; None while it runs or was never started."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def reason(self) -> str:
        """How it ended, in words."""
        code = self.code
        if code is None:
            return "still running" if self.running else "never started"
        if code < 0:
            return f"killed by {_SIGNALS.get(-code, f'signal {-code}')}"
        return "ended by itself (exit 0)" if code == 0 else f"failed with exit {code}"

    @property
    def last_words(self) -> str:
        """The last line it said, where a service that fails says why; how it ended if it said nothing."""
        return next((line for line in reversed(self.tail) if line), self.reason)

    def send(self, number: signal.Signals) -> None:
        if self._process and self.running:
            self._process.send_signal(number)

    def terminate(self) -> None:
        self.send(signal.SIGTERM)

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within that time; its output is complete then."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        if self._pump:
            self._pump.join(2.0)
        return True

    def kill(self) -> None:
        """SIGKILL, and waits until it is gone."""
        self.send(signal.SIGKILL)
        self.wait(10.0)
