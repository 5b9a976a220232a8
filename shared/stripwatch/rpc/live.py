"""Health as it was set, and under a name of its own whether the process is alive at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

LIVE = "live"
"""The name to ask for: of a service that is alive but not ready only another than this one says NOT_SERVING."""

_SERVING = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)
_NOT_SERVING = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.NOT_SERVING)


class LivingHealth(health.HealthServicer):
    """Whether the loops turn is looked at when somebody asks, and has nothing to do with readiness or draining.

    An answer says besides that the server itself answers, which a port that takes connections does not: the kernel does
    that for a process that hangs.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.turning: Callable[[], bool] = lambda: True

    def Check(  # noqa: N802 - gRPC's name
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        if request.service == LIVE:
            return _SERVING if self.turning() else _NOT_SERVING
        answer: health_pb2.HealthCheckResponse = super().Check(request, context)
        return answer
