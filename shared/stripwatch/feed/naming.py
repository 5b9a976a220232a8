"""Names that sources give: runs that sort by time, and safe names made from what a user has."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+|^-+|-+$")


def new_run_id(now: datetime | None = None) -> str:
    """A run id such as `20261124T021500-3f9a2c`: time first, so that ids sort, then chance."""
    return f"{now or datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def safe_name(text: str, fallback: str = "strip") -> str:
    """`text` as a name for a strip or camera: other characters become dashes, at most 64 stay."""
    return _UNSAFE.sub("-", text).strip("-")[:64] or fallback
