"""Where models come from, for tests: an HTTP server, and a registry that speaks OCI's distribution API."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import ssl
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TAR = "application/vnd.oci.image.layer.v1.tar+gzip"
PLAIN = "application/octet-stream"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tarred(root: Path, compression: str = "gz") -> bytes:
    """All that lies under a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        archive.add(root, ".")
    return out.getvalue()


class Host:
    """Answers by path. `faults` are the statuses of the next answers, `wants` the header that a caller has to show."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.faults: list[int] = []
        self.short = 0
        """So many of the next answers end in the middle."""
        self.wants = ""
        self.challenge = ""
        self.tokens: dict[str, str] = {}
        """What the token service gives, by what a caller shows."""
        self.asked: list[tuple[str, str]] = []
        """Path and Authorization of each request."""
        self.url = ""

    def artefact(self, repository: str, layers: list[tuple[str, str, bytes]]) -> str:
        """Puts blobs (media type, title, bytes) and their manifest there; the address."""
        named = []
        for kind, title, data in layers:
            self.files[f"/v2/{repository}/blobs/sha256:{sha256(data)}"] = data
            annotations = {"org.opencontainers.image.title": title} if title else {}
            named.append(
                {
                    "mediaType": kind,
                    "digest": f"sha256:{sha256(data)}",
                    "size": len(data),
                    "annotations": annotations,
                }
            )
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {}, "layers": named}).encode()
        self.files[f"/v2/{repository}/manifests/sha256:{sha256(manifest)}"] = manifest
        return f"oci+http://{urlsplit(self.url).netloc}/{repository}:1@sha256:{sha256(manifest)}"

    def answer(self, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        shown = headers.get("Authorization", "")
        self.asked.append((path, shown))
        parts = urlsplit(path)
        if self.faults:
            return self.faults.pop(0), {}, b""
        if parts.path == "/token":
            wanted = parse_qs(parts.query)
            assert wanted["service"] == ["plant"]
            return 200, {}, json.dumps({"token": self.tokens[shown]}).encode()
        if self.wants and shown != self.wants:
            return 401, {"WWW-Authenticate": self.challenge}, b""
        if parts.path in self.redirects:
            return 307, {"Location": self.redirects[parts.path]}, b""
        if parts.path in self.files:
            return 200, {}, self.files[parts.path]
        return 404, {}, b""


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@contextmanager
def hosting(tls: ssl.SSLContext | None = None) -> Iterator[Host]:
    """A host on a free port of loopback."""
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = host.answer(self.path, dict(self.headers.items()))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if host.short and body:
                host.short -= 1
                body = body[: len(body) // 2]
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    host.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
