"""Bounds that both ends of a connection share."""

from __future__ import annotations

MAX_MESSAGE_BYTES = 32 * 2**20
KEEPALIVE_MS = 20_000
