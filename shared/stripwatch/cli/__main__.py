"""`python -m stripwatch.cli` is `stripwatch`."""

from stripwatch.cli.main import app

app()
