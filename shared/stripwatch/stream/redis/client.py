"""One connection to Redis: addresses, errors translated, server-side functions loaded and called."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    OutOfMemoryError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)
from redis.retry import Retry

from stripwatch.errors import BadInput, Conflict, StreamFull, StreamUnavailable, StripwatchError

_TEXT = resources.files("stripwatch.stream").joinpath("functions.lua").read_text(encoding="utf-8")
VERSION = hashlib.sha256(_TEXT.encode()).hexdigest()[:8]
_LIBRARY = _TEXT.replace("@VERSION@", VERSION)

_SIDE_BYTES = 64 << 20
"""What a side stream (dead letters, copies for a recorder) may hold where the server has no memory limit."""

Part = str | bytes | int | float
Call = tuple[str, Sequence[str], Sequence[Part]]
"""A function's short name, its keys, its arguments."""


def public(url: str) -> str:
    """The address without user and password, fit for a message."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


class Client:
    """Commands and functions on one server or cluster. Raises only errors of ours."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.address = public(url)
        self.timeout_s = timeout_s
        self._shares: dict[str, int] = {}
        scheme = urlsplit(url).scheme
        if scheme not in ("redis", "rediss", "unix", "redis-cluster", "rediss-cluster"):
            raise BadInput(
                f"Redis address: expected redis://, rediss://, unix:// or redis-cluster://, got {self.address}"
            )
        options: dict[str, Any] = {
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "socket_keepalive": True,
            "protocol": 2,
        }
        self.is_cluster = scheme.endswith("-cluster")
        with self.translated():
            if self.is_cluster:
                self._redis: Any = RedisCluster.from_url(url.replace("-cluster", "", 1), **options)
            else:
                self._redis = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 1), **options)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of the redis package become ours."""
        try:
            yield
        except (RedisError, RedisClusterException) as error:  # the latter is no RedisError
            raise self._ours(error) from error
        except (OSError, ValueError) as error:
            raise StreamUnavailable(f"Redis at {self.address}: {error}") from error

    def _ours(self, error: RedisError | RedisClusterException) -> StripwatchError:
        text = str(error)
        if isinstance(error, OutOfMemoryError) or text.startswith("OOM"):
            return StreamFull(f"Redis at {self.address} is at its memory limit", retry_after_s=0.2)
        if text.startswith(("CLOSED", "UNSTARTED")):
            return Conflict(text.partition(" ")[2])
        if isinstance(error, RedisConnectionError | RedisTimeoutError | RedisClusterException):
            return StreamUnavailable(f"Redis at {self.address} does not answer: {text}")
        if text.startswith(
            ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY ", "MISCONF", "NOREPLICAS")
        ):
            return StreamUnavailable(f"Redis at {self.address} is not ready: {text}")
        return StripwatchError(f"Redis at {self.address}: {text}")

    def load_functions(self) -> None:
        """Puts our functions on the server (all primaries of a cluster); done already is fine."""
        with self.translated():
            try:
                if self.is_cluster:
                    self._redis.execute_command("FUNCTION LOAD", _LIBRARY, target_nodes=RedisCluster.PRIMARIES)
                else:
                    self._redis.execute_command("FUNCTION LOAD", _LIBRARY)
            except ResponseError as error:
                if "already exists" not in str(error):
                    raise

    def do(self, *command: Part) -> Any:
        with self.translated():
            return self._redis.execute_command(*command)

    def call(self, name: str, keys: Sequence[str], args: Sequence[Part]) -> Any:
        return self.call_all([(name, keys, args)])[0]

    def call_all(self, calls: Sequence[Call]) -> list[Any]:
        """Many function calls in one round trip; the first error is raised after all were made."""
        answers = self._pipeline([_fcall(call) for call in calls])
        missing = [at for at, answer in enumerate(answers) if _is_missing(answer)]
        if missing:  # a server that was emptied or replaced: put the functions back, once
            self.load_functions()
            again = self._pipeline([_fcall(calls[at]) for at in missing])
            for at, answer in zip(missing, again, strict=True):
                answers[at] = answer
        self._raise_first(answers)
        return answers

    def _pipeline(self, commands: Sequence[Sequence[Part]]) -> list[Any]:
        with self.translated():
            pipe = self._redis.pipeline(transaction=False) if not self.is_cluster else self._redis.pipeline()
            for command in commands:
                pipe.execute_command(*command)
            return list(pipe.execute(raise_on_error=False))

    def _raise_first(self, answers: Sequence[Any]) -> None:
        for answer in answers:
            if isinstance(answer, RedisError):
                raise self._ours(answer)

    def share_of_memory(self, key: str) -> int:
        """Bytes that a side stream may hold: a twentieth of its server's memory limit, which is asked for once."""
        if key not in self._shares:
            limit = int(self.server_info("memory", key)["maxmemory"])
            self._shares[key] = limit // 20 if limit else _SIDE_BYTES
        return self._shares[key]

    def now_ms(self, key: str) -> int:
        """The time of the server that holds `key`."""
        return int(self.call("now", [key], []))

    def keys(self, pattern: str) -> list[str]:
        with self.translated():
            return [key.decode() for key in self._redis.scan_iter(match=pattern, count=1000)]

    def server_info(self, section: str, key: str) -> dict[str, Any]:
        """INFO of the server that holds `key`."""
        with self.translated():
            if self.is_cluster:
                node = self._redis.get_node_from_key(key)
                return dict(self._redis.info(section, target_nodes=node))
            return dict(self._redis.info(section))

    def close(self) -> None:
        with self.translated():
            self._redis.close()


def _fcall(call: Call) -> list[Part]:
    name, keys, args = call
    return ["FCALL", f"sw_{VERSION}_{name}", len(keys), *keys, *args]


def _is_missing(answer: object) -> bool:
    return isinstance(answer, ResponseError) and "Function not found" in str(answer)
