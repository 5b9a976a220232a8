"""What a service counts, as Prometheus reads it.

Labels name a model, never a strip, a pod or a consumer: a series lives as long as the process. All are named here, so
that a reader finds them in one place, and are kept whether or not anybody asks: an observation takes microseconds, and
there is one a run of an engine, a request or a batch, none a tile.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from prometheus_client import Histogram, start_http_server

from stripwatch.errors import Conflict
from stripwatch.runtime.fresh import Fresh
from stripwatch.runtime.tls import Pems, TlsFiles

_TILES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)

ENGINE_BATCH_TILES = Histogram(
    "stripwatch_engine_batch_tiles", "Tiles in one run of an engine", ["model"], buckets=_TILES
)
ENGINE_RUN_SECONDS = Histogram(
    "stripwatch_engine_run_seconds", "Time of one run of an engine", ["model"], buckets=_SECONDS
)
ENGINE_QUEUE_SECONDS = Histogram(
    "stripwatch_engine_queue_seconds",
    "Time from a request's coming until an engine starts on it",
    ["model"],
    buckets=_SECONDS,
)
REQUEST_TILES = Histogram(
    "stripwatch_request_tiles", "Tiles in a request to a model service", ["model"], buckets=_TILES
)
BATCH_WAIT_SECONDS = Histogram(
    "stripwatch_batch_wait_seconds",
    "Time from the cutting of a batch's first frame to its first sending",
    buckets=_SECONDS,
)


class EngineMeter:
    """What the engines of one graph do. `model` is NAME/VERSION, with `(head)` for what takes descriptors."""

    def __init__(self, model: str) -> None:
        # Looked up once: finding a label's histogram costs more than to observe it.
        self._tiles, self._run_s, self._queue_s = (
            one.labels(model) for one in (ENGINE_BATCH_TILES, ENGINE_RUN_SECONDS, ENGINE_QUEUE_SECONDS)
        )

    def ran(self, tiles: int, seconds: float) -> None:
        self._tiles.observe(tiles)
        self._run_s.observe(seconds)

    def waited(self, seconds: float) -> None:
        self._queue_s.observe(seconds)


def serve(host: str, port: int, tls: TlsFiles | None) -> None:
    """Answers GET /metrics until the process ends, over HTTPS with `tls`; not at all on port 0.

    Conflict if the address is taken, SettingsInvalid if the files for TLS cannot be used.
    """
    if not port:
        return
    newest = Fresh("files for TLS of the metrics", lambda: _Shown(tls.read(), tls.context())) if tls else None
    try:
        server, _ = start_http_server(
            port,
            host,
            certfile=str(tls.certificate) if tls else None,
            keyfile=str(tls.key) if tls else None,
            client_cafile=str(tls.ca) if tls else None,
            client_auth_required=tls is not None and tls.ask_clients,
        )
    except OSError as error:
        raise Conflict(f"cannot serve metrics on port {port} of {host}: {error.strerror or error}") from error
    if newest is not None and isinstance(server.socket, ssl.SSLSocket):
        _follow(server.socket, newest)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the files for TLS held, and what is shown to clients of it."""

    pems: Pems
    context: ssl.SSLContext = field(compare=False)


def _follow(listener: ssl.SSLSocket, newest: Fresh[_Shown]) -> None:
    """Each new connection gets the newest certificate, in its own thread: who says nothing holds up nobody."""

    def show(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        connection.context = newest.now().context

    listener.context.sni_callback = show
    listener.do_handshake_on_connect = False  # type: ignore[attr-defined]  # the stub does not know it
