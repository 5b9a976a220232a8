"""Which addresses leave this machine: plain text is for loopback, unless it is asked for by name."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

_PLACE = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d*)?")


def is_loopback(host: str) -> bool:
    """Whether what is sent to the host, or heard at it, stays on this machine. A name other than localhost does not."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def exposed_target(target: str) -> list[str]:
    """Hosts of a gRPC target (HOST:PORT, dns:///HOST:PORT, ipv4:A:1,B:2, unix:PATH) that are not on this machine."""
    if target.startswith(("unix:", "unix-abstract:")):
        return []
    places = re.sub(r"^(dns|ipv4|ipv6):(//[^/]*/)?", "", target).split(",")
    hosts = [re.sub(r":\d*$", "", unquote(place)) if ":" in place else place for place in places]
    return [host for host in hosts if not is_loopback(host)]


def exposed_redis(url: str) -> list[str]:
    """Hosts of a Redis address without TLS that are not on this machine.

    ValueError, which shows nothing of the address, where a password may have been taken for something else.
    """
    parts = urlsplit(url)
    places = parts.netloc.rpartition("@")[2].split(",")
    if "@" in parts.path + parts.query + parts.fragment or not all(map(_PLACE.fullmatch, places)):
        raise ValueError("expected SCHEME://USER:PASSWORD@HOST:PORT/..., with / ? # @ : of the password as %2F %3F ...")
    if parts.scheme.startswith("rediss") or parts.scheme == "unix":
        return []
    return [host for place in places if not is_loopback(host := re.sub(r":\d*$", "", place) or "localhost")]
