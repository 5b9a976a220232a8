"""Files for TLS to Redis."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stripwatch.errors import BadInput


@dataclass(frozen=True, slots=True)
class RedisTls:
    """PEM files for rediss:// addresses: who signs Redis's certificate (without it: the system's authorities), and what
    a client shows to a Redis that asks for a certificate. BadInput for a file that is missing, unreadable, or no PEM.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise BadInput("TLS to Redis: expected a certificate and its key, got one of the two")
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except OSError as error:  # ssl.SSLError is one
            raise BadInput(f"TLS to Redis: cannot use {self._named()}: {error}") from error

    def _named(self) -> str:
        return ", ".join(str(path) for path in (self.ca, self.certificate, self.key) if path is not None)

    @property
    def is_empty(self) -> bool:
        return self.ca is None and self.certificate is None

    def options(self) -> dict[str, Any]:
        """What the redis package calls them."""
        return {
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_min_version": ssl.TLSVersion.TLSv1_2,
            "ssl_ca_certs": None if self.ca is None else str(self.ca),
            "ssl_certfile": None if self.certificate is None else str(self.certificate),
            "ssl_keyfile": None if self.key is None else str(self.key),
        }
