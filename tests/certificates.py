"""Certificates for tests: authorities, and files as an operator would lay them out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import trustme

from stripwatch.runtime.tls import TlsFiles

NAMES = ("localhost", "127.0.0.1")


def write(
    folder: Path,
    issuer: trustme.CA,
    *names: str,
    trusts: tuple[trustme.CA, ...] = (),
    valid: tuple[datetime, datetime] | None = None,
    ask_clients: bool = True,
) -> TlsFiles:
    """Writes ca.pem, own.pem and own.key, over those that are there; trusts the issuer unless told whom."""
    folder.mkdir(exist_ok=True)
    start, end = valid or (None, None)
    issued = issuer.issue_cert(*(names or NAMES), not_before=start, not_after=end)
    files = TlsFiles(folder / "ca.pem", folder / "own.pem", folder / "own.key", ask_clients)
    put(files.ca, b"".join(one.cert_pem.bytes() for one in trusts or (issuer,)))
    put(folder / "own.pem", b"".join(one.bytes() for one in issued.cert_chain_pems))
    put(folder / "own.key", issued.private_key_pem.bytes())
    return files


def put(path: Path, content: bytes) -> None:
    """In one step, as a secret that an orchestrator mounts is replaced."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.replace(path)


def settings(files: TlsFiles) -> dict[str, str]:
    """The environment of a process that has these files."""
    return {
        "STRIPWATCH_TLS_CA": str(files.ca),
        "STRIPWATCH_TLS_CERTIFICATE": str(files.certificate),
        "STRIPWATCH_TLS_KEY": str(files.key),
        "STRIPWATCH_TLS_CLIENT_CERTIFICATES": "require" if files.ask_clients else "none",
    }
