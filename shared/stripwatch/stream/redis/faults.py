"""What errors of the redis package mean to us."""

from __future__ import annotations

from redis.exceptions import (
    AuthenticationError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.sentinel import MasterNotFoundError

from stripwatch.errors import Conflict, StreamFull, StreamRefused, StreamUnavailable, StripwatchError

_NOT_READY = (
    *("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY ", "MISCONF", "NOREPLICAS"),
    "UNBLOCKED",  # a blocking read on a primary that turned replica
)
_REFUSALS = ("NOPERM", "NOAUTH", "WRONGPASS")


def ours(error: RedisError | RedisClusterException, address: str) -> StripwatchError:
    """The error of ours that says the same; the package takes some errors' first word away and gives them a class."""
    text = str(error)
    if isinstance(error, OutOfMemoryError) or text.startswith("OOM"):
        return StreamFull(f"Redis at {address} is at its memory limit", retry_after_s=0.2)
    if text.startswith(("CLOSED", "UNSTARTED")):
        return Conflict(text.partition(" ")[2])
    if _is_refusal(error):
        return StreamRefused(f"Redis at {address} refuses this: {text}")
    away = _away(error, text)
    return StreamUnavailable(f"Redis at {address} {away}") if away else StripwatchError(f"Redis at {address}: {text}")


def _is_refusal(error: BaseException | None) -> bool:
    """Also where a cluster's client says only that it found no node, because of this."""
    if isinstance(error, RedisClusterException):
        return _is_refusal(error.__cause__ or error.__context__)
    return isinstance(error, AuthenticationError | NoPermissionError) or (
        isinstance(error, RedisError) and str(error).startswith(_REFUSALS)
    )


def is_deposed(error: Exception) -> bool:
    """A primary no more, or one that its replicas have left."""
    return isinstance(error, ReadOnlyError) or str(error).startswith(("NOREPLICAS", "UNBLOCKED"))


def _away(error: Exception, text: str) -> str:
    """What keeps Redis from answering now; "" where it did answer."""
    if isinstance(error, MasterNotFoundError):
        return f"does not answer: no Sentinel names the primary {error}"
    if isinstance(error, RedisConnectionError | RedisTimeoutError | RedisClusterException):
        return f"does not answer: {text}"
    if isinstance(error, InvalidResponse):  # the connection is closed; the next one may reach a Redis again
        return f"does not speak its protocol: {text}"
    if "Function not found" in text:  # they were put back, and are gone again: the next call puts them back again
        return f"loses our functions: {text}"
    if isinstance(error, ReadOnlyError) or text.startswith(_NOT_READY):
        return f"is not ready: {text}"
    return ""
