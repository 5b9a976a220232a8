"""One connection to Redis: addresses, errors translated, server-side functions loaded and called."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Any

from redis.exceptions import NoPermissionError, RedisClusterException, RedisError, ResponseError

from stripwatch.errors import StreamUnavailable
from stripwatch.stream.redis.address import parse, public
from stripwatch.stream.redis.faults import is_deposed, ours
from stripwatch.stream.redis.opening import opened
from stripwatch.stream.redis.tls import RedisTls

_TEXT = resources.files("stripwatch.stream").joinpath("functions.lua").read_text(encoding="utf-8")
VERSION = hashlib.sha256(_TEXT.encode()).hexdigest()[:8]
_LIBRARY = _TEXT.replace("@VERSION@", VERSION)
_READING = frozenset(re.findall(r"^register\('(\w+)',.*'no-writes'", _TEXT, re.MULTILINE))
"""Functions called by FCALL_RO: FCALL would ask for the right to write to their keys."""

_SHARE_S = 60.0
_SIDE_BYTES = 64 << 20
"""What a side stream (dead letters, copies for a recorder) may hold where the server has no memory limit."""

Part = str | bytes | int | float
Call = tuple[str, Sequence[str], Sequence[Part]]
"""A function's short name, its keys, its arguments."""


class Client:
    """Commands and functions on one server or cluster. Raises only errors of ours."""

    def __init__(self, url: str, timeout_s: float, tls: RedisTls) -> None:
        address = parse(url)
        self.address = public(url)
        self.timeout_s = timeout_s
        self._shares: dict[str, tuple[int, float]] = {}
        self.is_cluster = address.kind == "redis-cluster"
        with self.translated():
            self._redis: Any = opened(address, timeout_s, tls)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of the redis package become ours."""
        try:
            yield
        except (RedisError, RedisClusterException) as error:  # the latter is no RedisError
            if is_deposed(error) and not self.is_cluster:  # the next try looks who is primary now
                self._redis.connection_pool.disconnect(inuse_connections=False)
            raise ours(error, self.address) from error
        except (OSError, ValueError) as error:
            raise StreamUnavailable(f"Redis at {self.address}: {error}") from error

    def load_functions(self, key: str) -> None:
        """Puts our functions on the server that holds `key`; done already is fine.

        StreamUnavailable where this user may not: another process will, the aggregator or an operator's.
        """
        with self.translated():
            try:
                self._redis.execute_command("FUNCTION LOAD", _LIBRARY, **self._at(key))
            except NoPermissionError as error:
                raise StreamUnavailable(
                    f"Redis at {self.address} misses the functions of version {VERSION}, which this user may not load:"
                    " start the aggregator, or run `stripwatch doctor` as operator"
                ) from error
            except ResponseError as error:
                if "already exists" not in str(error):
                    raise

    def _at(self, key: str) -> dict[str, Any]:
        """The option that sends a command without keys to the server of `key`."""
        return {"target_nodes": self._redis.get_node_from_key(key)} if self.is_cluster else {}

    def do(self, *command: Part) -> Any:
        with self.translated():
            return self._redis.execute_command(*command)

    def newest(self, key: str, before: str, count: int, at_once: int) -> list[Any]:
        """Up to `count` raw entries of a stream before an id ("": all), newest first; in pieces, as each may be big."""
        found: list[Any] = []
        end = f"({before}" if before else "+"
        while len(found) < count:
            step = min(at_once, count - len(found))
            some = self.do("XREVRANGE", key, end, "-", "COUNT", step)
            found += some
            if len(some) < step:
                break
            end = f"({found[-1][0].decode()}"
        return found

    def blocking(self, block_ms: int) -> list[Part]:
        """How a read says that it waits, if it does; always for less than we wait for an answer."""
        return ["BLOCK", min(block_ms, int(self.timeout_s * 800))] if block_ms > 0 else []

    def call(self, name: str, keys: Sequence[str], args: Sequence[Part]) -> Any:
        return self.call_all([(name, keys, args)])[0]

    def do_all(self, key: str, commands: Sequence[Sequence[Part]]) -> list[Any]:
        """Many commands on keys of one line, in one round trip; the first error is raised after all were made."""
        if not commands:
            return []
        answers = self._pipeline(key, commands)
        self._raise_first(answers)
        return answers

    def call_all(self, calls: Sequence[Call]) -> list[Any]:
        """Many function calls on keys of one line, in one round trip; the first error is raised after all were made."""
        if not calls:
            return []
        place = calls[0][1][0]
        answers = self._pipeline(place, [_fcall(call) for call in calls])
        missing = [at for at, answer in enumerate(answers) if _is_missing(answer)]
        if missing:  # a server that was emptied or replaced: put the functions back, once
            self.load_functions(place)
            again = self._pipeline(place, [_fcall(calls[at]) for at in missing])
            for at, answer in zip(missing, again, strict=True):
                answers[at] = answer
        self._raise_first(answers)
        return answers

    def _pipeline(self, place: str, commands: Sequence[Sequence[Part]]) -> list[Any]:
        with self.translated():
            if self.is_cluster:
                answers: list[Any] = self._redis.pipelined(place, commands)
                return answers
            pipe = self._redis.pipeline(transaction=False)
            for command in commands:
                pipe.execute_command(*command)
            return list(pipe.execute(raise_on_error=False))

    def _raise_first(self, answers: Sequence[Any]) -> None:
        for answer in answers:
            if isinstance(answer, RedisError):
                with self.translated():
                    raise answer

    def share_of_memory(self, key: str) -> int:
        """Bytes that a side stream may hold: a twentieth of its server's memory limit, asked for once a minute."""
        share, until = self._shares.get(key, (0, 0.0))
        if time.monotonic() >= until:
            limit = int(self.server_info("memory", key)["maxmemory"])
            share = limit // 20 if limit else _SIDE_BYTES
            self._shares[key] = share, time.monotonic() + _SHARE_S
        return share

    def now_ms(self, key: str) -> int:
        """The time of the server that holds `key`."""
        return int(self.call("now", [key], []))

    def keys(self, pattern: str) -> list[str]:
        """Keys of one line: the pattern begins with its tag."""
        with self.translated():
            return [key.decode() for key in self._redis.scan_iter(match=pattern, count=1000, **self._at(pattern))]

    def server_info(self, section: str, key: str) -> dict[str, Any]:
        """INFO of the server that holds `key`."""
        with self.translated():
            return dict(self._redis.info(section, **self._at(key)))

    def close(self) -> None:
        with self.translated():
            self._redis.close()


def _fcall(call: Call) -> list[Part]:
    name, keys, args = call
    return ["FCALL_RO" if name in _READING else "FCALL", f"sw_{VERSION}_{name}", len(keys), *keys, *args]


def _is_missing(answer: object) -> bool:
    return isinstance(answer, ResponseError) and "Function not found" in str(answer)
