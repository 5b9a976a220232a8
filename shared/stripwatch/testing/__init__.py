"""For a plant's own tests: the pipeline as a pytest fixture, replays, and golden verdicts."""

from stripwatch.local import EmbeddedRedis, Pipeline
from stripwatch.testing.golden import IGNORED, Difference, compare, compare_all

__all__ = ["IGNORED", "Difference", "EmbeddedRedis", "Pipeline", "compare", "compare_all"]
