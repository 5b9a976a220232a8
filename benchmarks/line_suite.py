"""What the suites of a line under load are asked: which profiles, on which engine, and how much of it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from rig import SHIPPED, Profile

NAMES = tuple(profile.name for profile in SHIPPED)
S = TypeVar("S")
"""A suite's own measure of size: a dataclass with `seconds` and `rounds`."""


def asked(doc: str | None, seconds: str, full: S, quick: S) -> tuple[argparse.Namespace, list[Profile], S]:
    """The command line's words, the profiles that they name, and the size; `seconds` says what that option means."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--quick", action="store_true", help="a few seconds: does it work at all")
    parser.add_argument("--profiles", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--workers", type=int, default=2, help="engines of the classifier")
    parser.add_argument("--seconds", type=float, default=None, help=seconds)
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None)
    chosen = parser.parse_args()
    given: dict[str, Any] = {
        name: value for name in ("seconds", "rounds") if (value := getattr(chosen, name)) is not None
    }
    size: Any = replace(quick if chosen.quick else full, **given)  # type: ignore[type-var]
    return chosen, [one for one in SHIPPED if one.name in chosen.profiles], size
