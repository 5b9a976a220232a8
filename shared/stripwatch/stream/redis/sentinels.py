"""Who is primary, as the Sentinels say."""

from __future__ import annotations

from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.sentinel import MasterNotFoundError, Sentinel


class Sentinels(Sentinel):
    """Asks as clients are meant to: this answer changes with the promotion. The package's own question is SENTINEL
    MASTERS, which names the old primary until the whole fail-over is over: ten seconds in which writes are lost.
    """

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Address and port, from the first that answers; it is asked first the next time."""
        known: list[Any] = self.sentinels
        for at, sentinel in enumerate(known):
            try:
                place = sentinel.sentinel_get_master_addr_by_name(service_name)
            except (RedisConnectionError, RedisTimeoutError, ResponseError):
                continue
            if place:
                known[0], known[at] = known[at], known[0]
                return place[0].decode(), int(place[1])
        raise MasterNotFoundError(service_name)
