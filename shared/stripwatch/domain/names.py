"""Names of lines, strips, runs, cameras and models: safe in keys, paths and logs."""

from __future__ import annotations

import re

from stripwatch.errors import BadInput

MOST_SHOWN = 500
"""Characters of free text, such as the reason of a loss, that are kept."""

LINE = re.compile(r"[A-Za-z0-9_-]{1,64}")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def check_line(value: str) -> str:
    """The line's name, or BadInput. A line's name is also the hash tag of all its keys."""
    if not LINE.fullmatch(value):
        raise BadInput(f"line: expected 1 to 64 of A-Z a-z 0-9 _ -, got {shown(repr(value), 80)}")
    return value


def check_name(what: str, value: str) -> str:
    """`value` if it can name a strip, run, camera, recipe or model; BadInput otherwise."""
    if not NAME.fullmatch(value) or ".." in value:
        raise BadInput(
            f"{what}: expected 1 to 64 of A-Z a-z 0-9 _ . - (not starting with . or -, no ..), "
            f"got {shown(repr(value), 80)}"
        )
    return value


def shown(text: str, most: int = MOST_SHOWN) -> str:
    """Free text from outside as one line fit for logs, terminals and UTF-8: its control characters are escaped."""
    cut = text if len(text) <= most else f"{text[: most - 3]}..."
    return printable(cut)


def printable(text: str) -> str:
    """`text` on one line: what would break it, move the cursor, colour or reorder is shown as its escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def is_label(value: str) -> bool:
    """Whether it can name a class: any letters, on one line."""
    return 0 < len(value) <= 64 and value.isprintable()


def check_label(what: str, value: str) -> str:
    """`value` if it can name a class; BadInput otherwise."""
    if not is_label(value):
        raise BadInput(f"{what}: expected 1 to 64 printable characters, got {shown(repr(value), 80)}")
    return value
