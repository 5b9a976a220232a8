"""A Redis that is killed at any moment, as a process or with the machine's power.

Power: strace notes every write and fdatasync of the append-only file, and after the kill the file is cut back to what
the last finished fdatasync had before it. What the disk itself loses after that is not simulated.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import redis

from stripwatch.errors import StripwatchError
from stripwatch.local.ports import free_ports
from stripwatch.local.redis import wait_for_redis

AOF = Path("appendonlydir") / "appendonly.aof.1.incr.aof"
MODES = {
    "always": ("--appendonly", "yes", "--appendfsync", "always"),
    "everysec": ("--appendonly", "yes", "--appendfsync", "everysec"),
    "off": ("--appendonly", "no"),
}
_CALL = re.compile(r"^(\d+)\s+(?:<\.\.\. )?(write|fdatasync|fsync)\b(.*)$")
_RESULT = re.compile(r"=\s+(-?\d+)")


class KilledRedis:
    """One server that keeps its folder and its port from one life to the next."""

    def __init__(self, binary: str, folder: Path, mode: str, *, power_cut: bool) -> None:
        (self.port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._binary, self._folder, self._mode, self._power_cut = binary, folder.resolve(), mode, power_cut
        self._process: subprocess.Popen[bytes] | None = None
        self._trace = self._folder / "trace"
        self.cut_bytes = 0
        """What the last power cut took from the file."""

    def start(self) -> None:
        """Returns when it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        command += ["--save", "", "--auto-aof-rewrite-percentage", "0", "--logfile", "redis.log", *MODES[self._mode]]
        if self._power_cut:
            command = [*self._tracer(), *command]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_redis(self.url, None, 60.0)

    def _tracer(self) -> list[str]:
        found = shutil.which("strace")
        if found is None:
            raise StripwatchError("a power cut is simulated with strace, and there is none: apt-get install strace")
        calls = ("-e", "trace=write,fdatasync,fsync", "-P", str(self._folder / AOF))
        return [found, "-f", "-qq", "-s", "0", *calls, "-o", str(self._trace), "--"]

    def kill(self) -> None:
        """SIGKILL; with the power, what was not on the disk goes too."""
        if self._process is None:
            return
        client: Any = redis.Redis.from_url(self.url)
        os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)
        client.close()
        self._process.wait()
        self._process = None
        if self._power_cut:
            written, synced = on_disk(self._trace.read_text(encoding="utf-8", errors="replace"))
            place = self._folder / AOF
            size = place.stat().st_size
            self.cut_bytes = written - synced
            os.truncate(place, size - self.cut_bytes)

    def stop(self) -> None:
        self.kill()


def on_disk(trace: str) -> tuple[int, int]:
    """Bytes written, and how many of them had been written when the last fdatasync that came to its end began."""
    written = synced = 0
    begun: dict[str, int] = {}
    for line in trace.splitlines():
        found = _CALL.match(line)
        if found is None:
            continue
        process, call, rest = found.groups()
        result = _RESULT.search(rest)
        if call == "write":
            written += max(0, int(result[1])) if result else 0
            continue
        if "resumed>" not in rest:
            begun[process] = written
        if result and int(result[1]) == 0:
            synced = max(synced, begun.pop(process, 0))
    return written, synced
