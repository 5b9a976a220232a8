"""The step before a model service: `python -m stripwatch.models.fetch` brings models, by hash, to STRIPWATCH_MODELS."""
