"""The whole pipeline as local processes: what `stripwatch up`, the demo and the pytest plugin stand on."""

from stripwatch.local.pipeline import Pipeline
from stripwatch.local.redis import EmbeddedRedis

__all__ = ["EmbeddedRedis", "Pipeline"]
