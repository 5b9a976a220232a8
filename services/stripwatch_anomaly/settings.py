"""Settings of the anomaly scorer."""

from __future__ import annotations

from stripwatch.models.settings import ModelServiceSettings


class AnomalySettings(ModelServiceSettings):
    """What the anomaly scorer takes: nothing of its own so far."""
