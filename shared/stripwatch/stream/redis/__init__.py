"""The stream ports on Redis 7.0 or newer: one server, Sentinel behind an address, or a Cluster."""

from stripwatch.stream.redis.line import RedisStream
from stripwatch.stream.redis.tls import RedisTls

__all__ = ["RedisStream", "RedisTls"]
