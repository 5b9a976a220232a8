"""The gRPC server of every service: its servicers, health and reflection on one port."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from stripwatch.errors import Conflict, StripwatchError
from stripwatch.rpc.calls import Calls
from stripwatch.rpc.credentials import server_credentials
from stripwatch.rpc.limits import KEEPALIVE_MS, MAX_MESSAGE_BYTES
from stripwatch.rpc.live import LivingHealth
from stripwatch.rpc.tokens import Bearer, Tokens
from stripwatch.rpc.traced import Traced
from stripwatch.runtime import tracing
from stripwatch.runtime.tls import TlsFiles

log = logging.getLogger(__name__)

S = TypeVar("S")

CONNECTION_AGE_S = 120.0
"""A client moves to a new connection after this long, so that replicas added later get their share of the traffic."""
CONNECTION_GRACE_S = 60.0
READY_EVERY_S = 1.0
STARTING_EVERY_S = 0.1
"""Until it is ready for the first time: whoever waits for a start does not wait for a second to be full."""
_WAITING_PER_WORKER = 4
_WATCHERS = 16
"""Watchers of health that are told of changes at once; more wait for one of them to leave."""
_SETTLE_S = 0.05
_STREAMS_S = 0.5
"""What streams of ours may take to see that they are to end, and to say so to their readers."""

_STATUS = health_pb2.HealthCheckResponse


class GrpcServer:
    """A threaded gRPC server. `ready` is asked about once a second and its answer published as the health status.

    Until the first time that it is, `ready` is asked more often. It returns None, or the reason why the service cannot
    do its work now. `connection_age_s` None keeps connections for as long as clients like: for services of long
    streams. All names of services that were added, and "" for the whole, have the same health. Without `tls` it speaks
    plain text; with `tokens` the services that are added ask for one of them, health and reflection (which tell nothing
    of any strip) do not. SettingsInvalid if the files for TLS cannot be used.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        ready: Callable[[], str | None],
        max_workers: int = 16,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        connection_age_s: float | None = CONNECTION_AGE_S,
        tls: TlsFiles | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._credentials = server_credentials(tls) if tls else None
        self._ready = ready
        self._reason: str | None = "starting"
        self._names = [""]
        self._stopping = threading.Event()
        self._drained_at = 0.0
        self._open = True
        self._poller = threading.Thread(target=self._poll, name="readiness", daemon=True)
        self._calls = Calls()
        self._server = grpc.server(
            ThreadPoolExecutor(max_workers, thread_name_prefix="grpc"),
            interceptors=[
                self._calls,
                *([Traced()] if tracing.is_on() else []),
                *([Bearer(tokens)] if tokens else []),
            ],
            options=_options(max_message_bytes, connection_age_s),
            maximum_concurrent_rpcs=max_workers * (1 + _WAITING_PER_WORKER),
        )
        # Watchers wait in threads of their own. Answered without one, as is the default, one who leaves while another's
        # answer is on its way stops the server's only thread for good: each waits for the other, a lock in between.
        watchers = ThreadPoolExecutor(_WATCHERS, thread_name_prefix="health")
        self._health = LivingHealth(experimental_non_blocking=False, experimental_thread_pool=watchers)
        self._health.set("", _STATUS.NOT_SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    def add(self, registrar: Callable[[S, grpc.Server], Any], servicer: S, full_service_name: str) -> None:
        """Adds a servicer by its generated `add_..._to_server`; before `start`."""
        registrar(servicer, self._server)
        self._names.append(full_service_name)
        self._health.set(full_service_name, _STATUS.NOT_SERVING)

    def live_while(self, turning: Callable[[], bool]) -> None:
        """Asked for the name `live`, health says SERVING for as long as `turning` says so; without one, always."""
        self._health.turning = turning

    def start(self) -> int:
        """Listens; the port it got. Conflict if the address is taken."""
        names = (*self._names[1:], health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        try:
            port = self._listen()
        except RuntimeError as error:
            raise Conflict(f"cannot listen on {self._address}: is the port taken, the host ours?") from error
        self._server.start()
        self._poller.start()
        log.info("listening", extra={"address": self._address, "port": port, "tls": self._credentials is not None})
        return port

    def _listen(self) -> int:
        if self._credentials is None:
            return self._server.add_insecure_port(self._address)
        return self._server.add_secure_port(self._address, self._credentials)

    @property
    def reason(self) -> str | None:
        """Why the service was not ready when last asked; None: it was."""
        return self._reason

    @property
    def open(self) -> bool:
        """Whether calls are to go on. Once it is `stop`ped streams end by themselves: they have no end of their own."""
        return self._open

    @property
    def serving(self) -> bool:
        """What health says of it now."""
        return self._reason is None and not self._stopping.is_set()

    def drain(self) -> None:
        """Says NOT_SERVING from now on, and still answers."""
        if not self._stopping.is_set():
            self._drained_at = time.monotonic()
            self._stopping.set()
        self._health.enter_graceful_shutdown()

    def linger(self, delay_s: float) -> None:
        """Goes on answering until `delay_s` after the draining began: balancers and names take as long to notice."""
        self.drain()
        time.sleep(max(0.0, self._drained_at + delay_s - time.monotonic()))

    def stop(self, grace_s: float) -> None:
        """Takes no more calls, waits for those in flight up to `grace_s`, then ends what is left, streams included."""
        self.drain()
        self._open = False
        until = time.monotonic() + grace_s
        ended = self._server.stop(grace_s)
        quiet = 0  # a call may lie between the socket and its handler: two quiet looks in a row mean none is left
        while quiet < 2 and time.monotonic() < until and not ended.wait(_SETTLE_S):
            quiet = 0 if self._calls.in_flight else quiet + 1
        ended.wait(min(_STREAMS_S, max(0.0, until - time.monotonic())))
        self._server.stop(0).wait()

    def _poll(self) -> None:
        every = STARTING_EVERY_S
        while True:
            reason = self._ask()
            if self._stopping.is_set():
                return
            self._publish(reason)
            if reason is None:
                every = READY_EVERY_S
            if self._stopping.wait(every):
                return

    def _ask(self) -> str | None:
        try:
            return self._ready()
        except StripwatchError as error:
            return str(error)
        except Exception as error:
            if self._reason is None:
                log.exception("the readiness check itself failed")
            return f"readiness check failed: {type(error).__name__}"

    def _publish(self, reason: str | None) -> None:
        for name in self._names:
            self._health.set(name, _STATUS.SERVING if reason is None else _STATUS.NOT_SERVING)
        if reason != self._reason:
            if reason is None:
                log.info("ready")
            else:
                log.warning("not ready: %s", reason)
        self._reason = reason


def _options(max_message_bytes: int, connection_age_s: float | None) -> list[tuple[str, int]]:
    options = [
        ("grpc.so_reuseport", 0),  # a second process on the port fails instead of taking half of the calls
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.http2.ping_timeout_ms", KEEPALIVE_MS // 2),  # a minute by default, whatever the keepalive's own says
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
        ("grpc.http2.max_ping_strikes", 0),
    ]
    if connection_age_s is not None:
        options += [
            ("grpc.max_connection_age_ms", int(connection_age_s * 1000)),
            ("grpc.max_connection_age_grace_ms", int(CONNECTION_GRACE_S * 1000)),
        ]
    return options
