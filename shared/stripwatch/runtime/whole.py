"""Files that another process may read at any moment: each is there whole, as it was or as it is, never in between."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(place: Path, text: str, mode: int = 0o666) -> None:
    """Writes UTF-8 text, making the folder; `mode` as of open(2). OSError if it cannot be written: all is as before."""
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_suffix(f".{os.getpid()}")
    fresh.touch(mode=mode)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(place)
