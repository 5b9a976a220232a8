"""A model service as a process of its own, for tests."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from stripwatch.domain.recipe import Role
from stripwatch.local.ports import free_ports
from stripwatch.rpc.client import RemoteScorer

LONG_S = 60.0


class Service:
    """One model service as a process, with its log kept."""

    def __init__(self, role: Role, models: Path, **settings: object) -> None:
        port = free_ports(1)[0]
        self.address = f"127.0.0.1:{port}"
        self.role = role
        self.log: list[str] = []
        given = {"MODELS": models, "HEALTH_PORT": port, "LOG_FORMAT": "human", "ENGINE_WORKERS": 1, **settings}
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"stripwatch_{role.value}"],
            env={**os.environ, **{f"STRIPWATCH_{key}": str(value) for key, value in given.items()}},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.client = RemoteScorer(role, self.address)

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            self.log.extend(lines)

    def wait_ready(self) -> None:
        wait(lambda: self.client.ready(1) is None, self)

    def exit_code(self) -> int:
        code = self.process.wait(LONG_S)
        self._reader.join(LONG_S)
        return code

    def close(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.exit_code()


def wait(until: Callable[[], bool], service: Service) -> None:
    end = time.monotonic() + LONG_S
    while not until():
        assert service.process.poll() is None, "".join(service.log)
        assert time.monotonic() < end, "".join(service.log)
        time.sleep(0.02)
