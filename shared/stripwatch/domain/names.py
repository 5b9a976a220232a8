"""Names of lines, strips, runs, cameras and models: safe in keys, paths and logs."""

from __future__ import annotations

import re

from stripwatch.errors import BadInput

LINE = re.compile(r"[A-Za-z0-9_-]{1,64}")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def check_line(value: str) -> str:
    """The line's name, or BadInput. A line's name is also the hash tag of all its keys."""
    if not LINE.fullmatch(value):
        raise BadInput(f"line: expected 1 to 64 of A-Z a-z 0-9 _ -, got {value!r}")
    return value


def check_name(what: str, value: str) -> str:
    """`value` if it can name a strip, run, camera, recipe or model; BadInput otherwise."""
    if not NAME.fullmatch(value) or ".." in value:
        raise BadInput(
            f"{what}: expected 1 to 64 of A-Z a-z 0-9 _ . - (not starting with . or -, no ..), got {value!r}"
        )
    return value
