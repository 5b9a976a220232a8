"""Clients of the redis package for each kind of address."""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from stripwatch.errors import BadInput
from stripwatch.stream.redis.address import Address, public
from stripwatch.stream.redis.cluster import BoundedCluster
from stripwatch.stream.redis.sentinels import Sentinels
from stripwatch.stream.redis.tls import RedisTls


def opened(address: Address, timeout_s: float, tls: RedisTls) -> Any:
    """A client that waits `timeout_s` for an answer. It tries once more where a connection was cut, but does not ask a
    server again that was silent for the whole timeout: a call would take a multiple of it.
    """
    if not (address.secure or tls.is_empty):
        raise BadInput(f"Redis address: files for TLS were given, expected a rediss address, got {public(address.url)}")
    secure = tls.options() if address.secure else {}
    options = {**_options(timeout_s), **secure}
    if address.kind == "redis-cluster":
        return BoundedCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],  # type: ignore[no-untyped-call]
            username=address.user,
            password=address.password,
            ssl=address.secure,
            retry=_retry(),
            **options,
        )
    if address.kind == "redis-sentinel":
        return _primary(address, timeout_s, options, secure)
    return redis.Redis.from_url(address.url, retry=_retry(), **options)


def _primary(address: Address, timeout_s: float, options: dict[str, Any], secure: dict[str, Any]) -> Any:
    """Whatever server the Sentinels name when a connection is made; all of them are asked within half the timeout.

    A connection that was cut is an error at once: the Sentinels need seconds to name another primary.
    """
    asking = {**_options(timeout_s / 2 / len(address.hosts)), **secure, "ssl": address.secure, "retry": _never()}
    sentinels: Any = Sentinels(address.hosts, sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
    return sentinels.master_for(
        address.service,
        username=address.user,
        password=address.password,
        db=address.database,
        ssl=address.secure,
        retry=_never(),
        **options,
    )


def _options(timeout_s: float) -> dict[str, Any]:
    """No `driver_info`: few users may call it. The name is more than a name: over TLS 1.3 the package takes a
    connection for broken on which nothing was said yet, because the server's session tickets wait in it unread.
    """
    return {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "socket_keepalive": True,
        "protocol": 2,
        "driver_info": None,
        "client_name": "stripwatch",
    }


def _retry() -> Retry:
    return Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))


def _never() -> Retry:
    return Retry(NoBackoff(), 0)
