"""The transport between the services: one contract, on Redis and in memory."""

from __future__ import annotations

from stripwatch.stream.configured import open_stream
from stripwatch.stream.redis import RedisStream, RedisTls

__all__ = ["RedisStream", "RedisTls", "connect", "open_stream"]


def connect(url: str, *, timeout_s: float = 5.0, tls: RedisTls | None = None) -> RedisStream:
    """The stream at a redis://, redis-sentinel://, redis-cluster:// or unix:// address; rediss...:// over TLS.

    Raises StreamUnavailable, BadInput.
    """
    return RedisStream(url, timeout_s, tls)
