"""Addresses of models: each names the SHA-256 of what is there, so that it does not matter who hands it out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from stripwatch.domain.names import shown
from stripwatch.errors import BadInput
from stripwatch.runtime.plaintext import is_loopback

TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz")

_IMAGE = re.compile(
    r"(?P<scheme>oci|oci\+http)://(?P<host>[A-Za-z0-9.:\[\]-]+)/(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?@sha256:(?P<sha256>[0-9a-f]{64})"
)
_FRAGMENT = re.compile(r"sha256=(?P<sha256>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Source:
    """A tar, a folder with a manifest, or an artefact in a registry; `url` is that of the repository there."""

    kind: Literal["tar", "folder", "artefact"]
    url: str
    sha256: str

    @property
    def exposed(self) -> bool:
        """Whether what is said to it leaves this machine as plain text."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and not is_loopback(parts.hostname or "")

    def __str__(self) -> str:
        return self.url


def parse(address: str) -> Source:
    """BadInput says what was expected; the address is shown without what may be a password in it."""
    image = _IMAGE.fullmatch(address)
    if image:
        scheme = "http" if image["scheme"] == "oci+http" else "https"
        return Source("artefact", f"{scheme}://{image['host']}/v2/{image['repository']}", image["sha256"])
    try:
        parts = urlsplit(address)
        host, named = parts.hostname, "@" in parts.netloc
    except ValueError:
        host, named = None, False
    if named:
        raise BadInput("expected addresses without a user or password: STRIPWATCH_FETCH_TOKEN_FILE names theirs")
    given = shown(repr(address), 200)
    if host is None or parts.scheme not in ("http", "https"):
        raise BadInput(
            "expected https://HOST/FILE.tar.gz#sha256=..., https://HOST/FOLDER#sha256=... or "
            f"oci://REGISTRY/REPOSITORY:TAG@sha256:..., got {given}"
        )
    fragment = _FRAGMENT.fullmatch(parts.fragment)
    if fragment is None:
        raise BadInput(f"expected #sha256= and 64 hexadecimal digits at the end, got {given}")
    kind: Literal["tar", "folder"] = "tar" if parts.path.endswith(TARS) else "folder"
    return Source(kind, parts._replace(fragment="").geturl(), fragment["sha256"])
