"""A server under measurement: its process and all that it started, their CPU and their memory."""

from __future__ import annotations

import time
from types import TracebackType

import psutil

from stripwatch.errors import StripwatchError
from stripwatch.local.child import Child, Spec

MIB = 2**20
_STOP_S = 15.0


class Server:
    """Runs while the block does; then nothing that it started is left."""

    def __init__(self, spec: Spec) -> None:
        self._child = Child(spec, lambda _name, _line: None)

    def __enter__(self) -> Server:
        self._began = time.monotonic()
        self._child.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tree = self.tree()
        self._child.terminate()
        if not self._child.wait(_STOP_S):
            self._child.kill()
        for process in tree:  # those that their parent left behind
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(tree, timeout=_STOP_S)

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._began

    def alive(self) -> None:
        """StripwatchError with its last words once it has ended."""
        if not self._child.running:
            raise StripwatchError(f"it {self._child.reason}: {self._child.last_words}")

    def processes(self) -> int:
        return len(self.tree())

    def cpu_s(self) -> float:
        total = 0.0
        for process in self.tree():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return total

    def mib(self) -> float:
        """Resident, shared pages counted once (PSS), of the whole tree."""
        total = 0
        for process in self.tree():
            try:
                total += process.memory_full_info().pss
            except psutil.NoSuchProcess:
                continue
        return total / MIB

    def tree(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self._child.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
