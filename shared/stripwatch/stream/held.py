"""What is said to a source that cannot have its line."""

from __future__ import annotations


def held_message(line: str, mode: str, owner: str) -> str:
    """`mode` is `live` or `replay`; simulations and folders count as replays: they wait instead of shedding."""
    return (
        f"line {line}: a {mode} source has it ({owner}), and replays and simulations need a line alone; "
        "if that source is gone, the line is free again within 15 s"
    )
