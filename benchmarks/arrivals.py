"""When frame results and verdicts enter the stream, seen by a reader without a group."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import redis
from small_frames import LINE

from stripwatch.domain.frame import RunId
from stripwatch.ports import Kind
from stripwatch.rpc.codec.results import decode_result
from stripwatch.stream.keys import Keys, member

BLOCK_MS = 100
Seen = dict[tuple[str, int], float]
"""UTC s, by camera and index."""


class Arrivals:
    """Reads along while the `with` block lasts; a waiting reader is served as soon as an entry is added.

    An entry that is acknowledged, and so deleted, between two reads of ours is missed: see `filled`.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis: Any = redis.Redis.from_url(redis_url)
        keys = Keys(LINE)
        self._results, self._verdicts = keys.results, keys.verdicts
        self._after = {key: self._last(key) for key in (self._results, self._verdicts)}
        self._raw: list[tuple[float, str, dict[bytes, bytes]]] = []
        self._over = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def _last(self, key: str) -> bytes:
        try:
            last: bytes = self._redis.xinfo_stream(key)["last-generated-id"]
        except redis.ResponseError:  # no such key yet
            return b"0"
        return last

    def __enter__(self) -> Arrivals:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._reader.join()
        self._redis.close()

    def _read(self) -> None:
        while not self._over.is_set():
            streams = self._redis.xread(self._after, count=1000, block=BLOCK_MS)
            now = time.time()
            for name, entries in streams:
                key = name.decode()
                self._after[key] = entries[-1][0]
                self._raw += [(now, key, fields) for _, fields in entries]

    def results(self, run: RunId) -> Seen:
        """When the result of each frame of the run came."""
        ours = member(run).encode()
        seen = {}
        for at, key, fields in self._raw:
            if key == self._results and fields[b"r"] == ours and fields[b"k"].decode() == Kind.RESULT:
                header = decode_result(fields[b"b"]).header
                seen[header.camera, header.index] = at
        return seen

    def verdicts(self) -> dict[str, float]:
        """When the verdict of each run (STRIP and RUN, as in keys) came."""
        return {fields[b"r"].decode(): at for at, key, fields in self._raw if key == self._verdicts}


def filled(seen: Seen, looks: Mapping[str, npt.NDArray[np.float64]]) -> Seen:
    """With those that were missed, as late as they can have been: by the next result of their camera that was seen, or
    by the look (of each camera's frames, as the rig has them) that found them recorded.

    Those that only the last look has are left out: it cannot tell whether they were recorded or shed.
    """
    last_look = max(float(np.nanmax(times)) for times in looks.values())
    whole = dict(seen)
    for camera, times in looks.items():
        following = np.inf
        for index in range(len(times) - 1, -1, -1):
            if (camera, index) in seen:
                following = min(following, seen[camera, index])
            elif times[index] < last_look:
                whole[camera, index] = min(following, float(times[index]))
    return whole
