"""Settings of the aggregator."""

from __future__ import annotations

from pydantic import Field

from stripwatch.runtime.settings import LineSettings


class AggregatorSettings(LineSettings):
    """What the aggregator takes besides the lines it works on."""

    batch: int = Field(default=256, ge=1, le=10_000, description="Most frame results taken at once")
    claim_idle_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="Results given to an aggregator not heard of for this long are taken over",
    )
    max_watchers: int = Field(default=32, ge=1, le=1000, description="Most verdict watchers by gRPC at the same time")
