"""For a plant's own tests: pytest fixtures (`plugin`) and golden verdicts. Light: the plugin loads in every session."""

from stripwatch.testing.golden import IGNORED, Difference, compare, compare_all

__all__ = ["IGNORED", "Difference", "compare", "compare_all"]
