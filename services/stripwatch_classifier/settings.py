"""Settings of the classifier."""

from __future__ import annotations

from stripwatch.models.settings import ModelServiceSettings


class ClassifierSettings(ModelServiceSettings):
    """What the classifier takes: nothing of its own so far."""
