"""Where files that ship with stripwatch lie: in the installed package, or in the checkout."""

from __future__ import annotations

from pathlib import Path

import stripwatch

PACKAGE = Path(stripwatch.__file__).parent


def shipped(kind: str) -> Path:
    """The folder of shipped `models` or `recipes`."""
    packaged = PACKAGE / kind
    checkout = PACKAGE.parent.parent / kind
    return checkout if (PACKAGE.parent.parent / "pyproject.toml").is_file() and checkout.is_dir() else packaged


def model_folders() -> tuple[Path, ...]:
    """Folders searched for models by default: the shipped ones, and what `make train` built on this machine."""
    models = shipped("models")
    return tuple(folder for folder in (models, models / "local", Path("models/local").resolve()) if folder.is_dir())
