"""Bounds that both ends of a connection share."""

from __future__ import annotations

MAX_MESSAGE_BYTES = 32 * 2**20
KEEPALIVE_MS = 20_000
PROBE_MS = 1_500
"""A client asks a silent connection for a sign of life after this long and gives it up after as long again: soon enough
that a batch's time budget still has room for another try elsewhere."""
