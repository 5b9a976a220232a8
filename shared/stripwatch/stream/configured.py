"""A stream as the settings say."""

from __future__ import annotations

from stripwatch.runtime.settings import RedisSettings
from stripwatch.stream.redis import RedisStream, RedisTls


def open_stream(given: RedisSettings) -> RedisStream:
    """The stream at STRIPWATCH_REDIS_URL, over TLS with the files that are named beside it. BadInput."""
    tls = RedisTls(given.redis_ca, given.redis_certificate, given.redis_key)
    return RedisStream(given.redis_url.get_secret_value(), given.redis_timeout_seconds, tls)
