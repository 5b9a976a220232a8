"""Channels to our services: calls spread over all addresses a name resolves to, dead connections noticed."""

from __future__ import annotations

import json

import grpc

from stripwatch.rpc.limits import MAX_MESSAGE_BYTES, PROBE_MS
from stripwatch.runtime.tls import Pems

_OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    ("grpc.enable_retries", 0),  # who calls decides what to retry, within its own budget
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.http2.ping_timeout_ms", PROBE_MS),  # a minute by default, whatever the keepalive's own timeout says
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Half a minute by default: as long would replicas that came wait, and calls be sent to those that went.
    ("grpc.dns_min_time_between_resolutions_ms", 2_000),
]


def open_channel(address: str, pems: Pems | None = None, probe_ms: int = PROBE_MS) -> grpc.Channel:
    """A channel to `host:port` (all of its addresses in turn) or to any gRPC target such as `ipv4:A:1,B:2`.

    With `pems` over TLS: the certificate of who answers must be of an authority there, and for the host as dialled (for
    a list of addresses: for the first). A connection that was silent for `probe_ms` is asked for a sign of life.
    """
    options = [*_OPTIONS, ("grpc.keepalive_time_ms", probe_ms)]
    target = address if "://" in address or address.startswith(("ipv4:", "ipv6:", "unix:")) else f"dns:///{address}"
    if pems is None:
        return grpc.insecure_channel(target, options=options)
    if target.startswith(("ipv4:", "ipv6:")):  # gRPC would look for the whole list in the certificate
        options.append(("grpc.default_authority", target[5:].lstrip("/").partition(",")[0]))
    credentials = grpc.ssl_channel_credentials(pems.ca, pems.key, pems.certificate)
    return grpc.secure_channel(target, credentials, options=options)
