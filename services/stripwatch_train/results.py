"""Result files: figures with the command, the data and the versions that made them."""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("numpy", "torch", "onnx", "onnxruntime", "opencv-python-headless", "scikit-learn")


def versions() -> dict[str, str]:
    """Python's and the libraries' versions, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except ModuleNotFoundError:
            continue
    return found


def command() -> str:
    """The command line that is running, without this machine's paths to the interpreter."""
    return " ".join(["python -m stripwatch_train", *sys.argv[1:]])


def write_results(file: Path, data_sha256: str, figures: Mapping[str, Any]) -> None:
    """Write `figures` as JSON with their origin."""
    text = json.dumps(
        {"command": command(), "data_sha256": data_sha256, "versions": versions(), **figures}, indent=1, sort_keys=False
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_short_rows(text) + "\n")


def table(confusion: list[list[int]], rows: tuple[str, ...], columns: tuple[str, ...]) -> str:
    """A confusion matrix as text: rows are the truth, columns the answers."""
    width = max(len(name) for name in rows)
    head = " " * width + "  " + " ".join(f"{name[:9]:>9}" for name in columns)
    lines = [f"{name:<{width}}  " + " ".join(f"{n:>9}" for n in row) for name, row in zip(rows, confusion, strict=True)]
    return "\n".join([head, *lines])


def _short_rows(text: str) -> str:
    """Lists of numbers on one line: a matrix reads as a matrix."""
    return re.sub(r"\[\s+([-+\d.e,\s]+?)\s+\]", lambda match: "[" + " ".join(match[1].split()) + "]", text)
