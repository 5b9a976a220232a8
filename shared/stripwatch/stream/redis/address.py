"""Where Redis is: one server, a socket file, a Cluster, or Sentinels that know the primary."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from stripwatch.errors import BadInput

_KINDS = ("redis", "unix", "redis-cluster", "redis-sentinel")
_PORTS = {"redis-cluster": 6379, "redis-sentinel": 26379}


def public(url: str) -> str:
    """The address without user and password, fit for a message."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


@dataclass(frozen=True, slots=True)
class Address:
    """One Redis, as its URL says."""

    url: str = field(repr=False)
    kind: str
    """redis, unix, redis-cluster or redis-sentinel"""
    secure: bool
    """Over TLS."""
    hosts: tuple[tuple[str, int], ...]
    """Of Sentinels, or of the cluster's nodes to ask first."""
    user: str | None
    password: str | None = field(repr=False)
    service: str
    """What the Sentinels call the primary."""
    database: int


def parse(url: str) -> Address:
    """BadInput for an address of another kind, or one that misses a part."""
    shown = public(url)
    parts = urlsplit(url)
    kind = parts.scheme.replace("rediss", "redis", 1)
    if kind not in _KINDS:
        raise BadInput(
            "Redis address: expected redis://, rediss://, unix://, redis-cluster:// or redis-sentinel://"
            f" (rediss-cluster://, rediss-sentinel://), got {shown}"
        )
    if kind == "redis":
        _place(parts.netloc.rpartition("@")[2], 6379, shown)
    secret, _, hosts = parts.netloc.rpartition("@")
    user, colon, password = secret.partition(":")
    service, _, database = parts.path.strip("/").partition("/")
    if kind == "redis-sentinel" and (not service or (database and not database.isdecimal())):
        raise BadInput(f"Redis address: expected redis-sentinel://HOST:PORT,.../SERVICE or .../SERVICE/DB, got {shown}")
    return Address(
        url=url,
        kind=kind,
        secure=parts.scheme.startswith("rediss"),
        hosts=tuple(_place(one, _PORTS[kind], shown) for one in hosts.split(",")) if kind in _PORTS else (),
        user=unquote(user) or None,
        password=unquote(password) if colon else None,
        service=unquote(service),
        database=int(database or 0) if kind == "redis-sentinel" else 0,
    )


def _place(text: str, port: int, shown: str) -> tuple[str, int]:
    """HOST, HOST:PORT or [IPv6]:PORT."""
    try:
        place = urlsplit(f"//{text}")
        host, given = place.hostname, place.port
    except ValueError as error:
        raise BadInput(f"Redis address: expected HOST:PORT, got {shown}: {error}") from error
    if not host:
        raise BadInput(f"Redis address: expected HOST:PORT[,HOST:PORT...], got {shown}")
    return host, given or port
