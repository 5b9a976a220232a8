"""The services as processes: module and environment of each. None is imported here; they are started by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from stripwatch.local.child import Spec

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Thread pools that a service without a model would only start for nothing."""

DRAIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs, and where it finds what: the names of processes in the order of their stop."""

    redis_url: str
    lines: tuple[str, ...]
    addresses: Mapping[str, str]
    """HOST:PORT of each service's gRPC server, by process name."""
    env: Mapping[str, str]
    """Settings for all services, over those of our own environment."""

    def of(self, kind: str) -> list[str]:
        """Names of the processes of one service."""
        return [name for name in self.addresses if name.partition("-")[0] == kind]

    def target(self, kind: str) -> str:
        """All replicas of a service as one gRPC target."""
        return "ipv4:" + ",".join(self.addresses[name] for name in self.of(kind))

    def spec(self, name: str) -> Spec:
        """How to run one process."""
        kind = name.partition("-")[0]
        host, _, port = self.addresses[name].rpartition(":")
        env = {
            "STRIPWATCH_HEALTH_HOST": host,
            "STRIPWATCH_HEALTH_PORT": port,
            "STRIPWATCH_METRICS_PORT": "0",  # one from our own environment would be for one process only
            "STRIPWATCH_DRAIN_SECONDS": f"{DRAIN_S:g}",
            "STRIPWATCH_LOG_FORMAT": os.environ.get("STRIPWATCH_LOG_FORMAT", "human"),
            **self.env,
        }
        if kind in ("ingest", "preprocess", "aggregator"):
            env |= {**ONE_THREAD, **_redis(self.redis_url)}
        if kind in ("preprocess", "aggregator"):
            env["STRIPWATCH_LINES"] = ",".join(self.lines)
        if kind == "preprocess":
            env["STRIPWATCH_CLASSIFIER_ADDRESS"] = self.target("classifier")
            env["STRIPWATCH_ANOMALY_ADDRESS"] = self.target("anomaly")
        return Spec(name, module(kind), env)


def module(kind: str) -> tuple[str, ...]:
    """The command that runs a service."""
    return (sys.executable, "-m", f"stripwatch_{kind}")


def ingest_spec(name: str, redis_url: str, line: str, settings: Mapping[str, str]) -> Spec:
    """One ingest that ends with its source."""
    env = {
        **ONE_THREAD,
        **_redis(redis_url),
        "STRIPWATCH_LINE": line,
        "STRIPWATCH_LOG_FORMAT": os.environ.get("STRIPWATCH_LOG_FORMAT", "human"),
        "STRIPWATCH_DRAIN_SECONDS": f"{DRAIN_S:g}",
        "STRIPWATCH_HEALTH_PORT": "0",
        "STRIPWATCH_METRICS_PORT": "0",
        **settings,
    }
    return Spec(name, module("ingest"), env, may_end=True)


def _redis(url: str) -> dict[str, str]:
    """A file that our own environment names would come first."""
    return {"STRIPWATCH_REDIS_URL": url, "STRIPWATCH_REDIS_URL_FILE": ""}
