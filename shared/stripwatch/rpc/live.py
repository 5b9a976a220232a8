"""Health as it was set, and under a name of its own whether the process is alive at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

LIVE = "live"
"""The name to ask for: of a service that is alive but not ready only another than this one says NOT_SERVING."""

_STATUS = health_pb2.HealthCheckResponse


class LivingHealth(health.HealthServicer):
    """Whether the loops turn is looked at when somebody asks, and has nothing to do with readiness or draining.

    An answer says besides that the server itself answers, which a port that takes connections does not: the kernel does
    that for a process that hangs.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.turning: Callable[[], bool] = lambda: True

    def Check(self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext) -> _STATUS:  # noqa: N802
        if request.service != LIVE:
            return super().Check(request, context)
        return _STATUS(status=_STATUS.SERVING if self.turning() else _STATUS.NOT_SERVING)
