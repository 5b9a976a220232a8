"""What a server says of its own health. `python -m stripwatch.rpc.health HOST:PORT [NAME]` exits 0 if it is SERVING.

The command speaks TLS with the files that STRIPWATCH_TLS_CA and its like name, as the service beside it does.
"""

from __future__ import annotations

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from stripwatch.errors import SettingsInvalid
from stripwatch.rpc.channel import open_channel
from stripwatch.rpc.status import explained
from stripwatch.runtime.settings import TransportSettings, load
from stripwatch.runtime.tls import Pems

SERVING = "SERVING"
NOT_SERVING = "NOT_SERVING"
UNKNOWN = "SERVICE_UNKNOWN"
"""The server answers but has no such service."""
UNREACHABLE = "UNREACHABLE"

_PROBE_S = 2.0
_OBSTACLE_S = 0.5


def status(address: str, timeout_s: float, service: str = "", pems: Pems | None = None) -> str:
    """SERVING, NOT_SERVING, SERVICE_UNKNOWN or UNREACHABLE; never raises."""
    with open_channel(address, pems) as channel:
        return status_on(channel, timeout_s, service)


def status_on(channel: grpc.Channel, timeout_s: float, service: str = "") -> str:
    """Like `status`, over an open channel; waits for the connection up to `timeout_s`."""
    request = health_pb2.HealthCheckRequest(service=service)
    try:
        answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout_s, wait_for_ready=True)
    except grpc.RpcError as error:
        found = isinstance(error, grpc.Call) and error.code() in (
            grpc.StatusCode.NOT_FOUND,
            grpc.StatusCode.UNIMPLEMENTED,
        )
        return UNKNOWN if found else UNREACHABLE
    except ValueError:  # the channel is closed
        return UNREACHABLE
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def obstacle(channel: grpc.Channel) -> str:
    """Why a channel that was UNREACHABLE has no connection: what the last attempt met."""
    try:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=_OBSTACLE_S)
    except grpc.RpcError as error:
        return explained(error.details() or "") if isinstance(error, grpc.Call) else str(error)
    except ValueError:
        return "the channel is closed"
    return "it answers by now"


def _probe(arguments: list[str]) -> int:
    """For container health checks: 0 SERVING, 1 anything else, 2 wrong usage or settings."""
    if len(arguments) not in (1, 2):
        sys.stderr.write("usage: python -m stripwatch.rpc.health HOST:PORT [NAME]\n")
        return 2
    try:
        tls = load(TransportSettings).tls
        pems = tls.read() if tls else None
    except SettingsInvalid as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    with open_channel(arguments[0], pems) as channel:
        says = status_on(channel, _PROBE_S, *arguments[1:])
        sys.stdout.write(f"{says}\n")
        if says == UNREACHABLE:
            sys.stderr.write(f"{obstacle(channel)}\n")
    return 0 if says == SERVING else 1


if __name__ == "__main__":
    sys.exit(_probe(sys.argv[1:]))
