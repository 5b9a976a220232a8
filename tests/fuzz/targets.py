"""All targets by name."""

from __future__ import annotations

import importlib

from fuzz.target import Target

NAMES = ("messages", "images", "recordings", "recipes", "settings", "manifests", "entries", "archives", "fetched")


def target(name: str) -> Target:
    found: Target = importlib.import_module(f"fuzz.{name}").TARGET
    return found
