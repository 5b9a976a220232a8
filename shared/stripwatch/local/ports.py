"""Free TCP ports on loopback, that stay ours until the processes they are for have bound them.

They lie below the range that the kernel takes for outgoing connections (32768 and up on Linux), and a lock that lasts
as long as our process keeps other pipelines of the user off them.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

from stripwatch.errors import StripwatchError

FIRST, LAST = 20_000, 32_000

_held: list[int] = []


def free_ports(count: int) -> list[int]:
    """That many different ports that nobody uses now, and no other pipeline of ours will."""
    locks = Path(tempfile.gettempdir()) / f"stripwatch-ports-{os.getuid()}"
    locks.mkdir(mode=0o700, exist_ok=True)
    found: list[int] = []
    for port in random.sample(range(FIRST, LAST), LAST - FIRST):
        if len(found) == count:
            return found
        if _take(locks / str(port)) and _unused(port):
            found.append(port)
    raise StripwatchError(f"no {count} free ports between {FIRST} and {LAST} on 127.0.0.1")


def _take(lock: Path) -> bool:
    """Whether the port is ours now; the lock goes with our process."""
    handle = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return False
    _held.append(handle)
    return True


def _unused(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
