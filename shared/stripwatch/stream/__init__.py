"""The transport between the services: one contract, on Redis and in memory."""

from __future__ import annotations

from stripwatch.stream.redis import RedisStream

__all__ = ["RedisStream", "connect"]


def connect(url: str, *, timeout_s: float = 5.0) -> RedisStream:
    """The stream at a redis://, rediss://, unix:// or redis-cluster:// address. StreamUnavailable, BadInput."""
    return RedisStream(url, timeout_s)
