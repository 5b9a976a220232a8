"""The page of metrics: GET /metrics over HTTP, or HTTPS."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import disable_created_metrics, start_http_server

from stripwatch.errors import Conflict
from stripwatch.runtime.fresh import Fresh
from stripwatch.runtime.metrics.service import introduce
from stripwatch.runtime.settings import ServiceSettings
from stripwatch.runtime.tls import Pems


def serve(service: str, given: ServiceSettings, ready: Callable[[], bool]) -> None:
    """Answers GET /metrics until the process ends, as the settings say; `ready` is asked each time.

    Conflict if the address is taken, SettingsInvalid if the files for TLS cannot be used.
    """
    host, port, tls = given.health_host, given.metrics_port, given.tls
    if not port:
        return
    introduce(service, ready)
    # They would be a series more for each counter and histogram, which nobody asks for.
    disable_created_metrics()  # type: ignore[no-untyped-call]
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
