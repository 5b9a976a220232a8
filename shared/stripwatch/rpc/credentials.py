"""What a server shows to who connects to it: each new connection gets the newest certificate."""

from __future__ import annotations

import grpc

from stripwatch.errors import SettingsInvalid
from stripwatch.runtime.fresh import Fresh
from stripwatch.runtime.tls import Pems, TlsFiles


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials that follow the files. SettingsInvalid if they cannot be used, or hold no certificate."""
    fresh = Fresh("files for TLS", files.read)
    shown = fresh.now()
    first = _configuration(shown)

    def newer() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        pems = fresh.now()
        if pems == shown:
            return None
        shown = pems
        return _configuration(pems)

    # the stub does not know that None stands for no change
    return grpc.dynamic_ssl_server_credentials(first, newer, files.ask_clients)  # type: ignore[arg-type]


def _configuration(pems: Pems) -> grpc.ServerCertificateConfiguration:
    if pems.certificate is None or pems.key is None:
        raise SettingsInvalid("TLS: expected a certificate and a key for a server, got neither")
    return grpc.ssl_server_certificate_configuration([(pems.key, pems.certificate)], pems.ca)
