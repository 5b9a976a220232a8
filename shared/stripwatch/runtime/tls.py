"""TLS as files: who a process is, and whom it trusts."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stripwatch.errors import SettingsInvalid


@dataclass(frozen=True, slots=True)
class Pems:
    """What the files hold: the authorities, a certificate with its chain, its key."""

    ca: bytes
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. A client may have no certificate; a server has one, and asks its clients for theirs or does not."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None
    ask_clients: bool = True

    def read(self) -> Pems:
        """SettingsInvalid for a file that cannot be read, is no PEM, or a key of another certificate."""
        pems = self._pems()
        self.context()
        if self._pems() != pems:
            raise SettingsInvalid(f"{self.ca}, {self.certificate}, {self.key}: changed while they were read")
        return pems

    def context(self) -> ssl.SSLContext:
        """For a server that is not gRPC's. SettingsInvalid as for `read`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.ask_clients:
            context.verify_mode = ssl.CERT_REQUIRED
        with _explained(f"{self.ca}: expected the certificates of authorities"):
            context.load_verify_locations(self.ca)
        if self.certificate:
            with _explained(f"{self.certificate}, {self.key}: expected a certificate and its key, without a password"):
                context.load_cert_chain(self.certificate, self.key, password="")  # None would ask on the terminal
        return context

    def _pems(self) -> Pems:
        with _explained("files for TLS"):
            return Pems(
                self.ca.read_bytes(),
                self.certificate.read_bytes() if self.certificate else None,
                self.key.read_bytes() if self.key else None,
            )


@contextmanager
def _explained(expected: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # ssl.SSLError is one
        what = getattr(error, "reason", None) or error.strerror or str(error)
        where = f" {error.filename}" if error.filename else ""
        raise SettingsInvalid(f"{expected}, got{where}: {what}") from error
