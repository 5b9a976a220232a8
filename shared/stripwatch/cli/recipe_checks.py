"""Does a recipe fit the models at hand? The services would say so too, but only when a strip comes."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

from stripwatch.domain.model import ModelKind
from stripwatch.domain.recipe import Recipe, Role
from stripwatch.errors import NotFound
from stripwatch.models.manifest import read_manifest
from stripwatch.models.store import ModelStore
from stripwatch.recipes import RecipeBook, default_folders

KINDS = {Role.CLASSIFIER: ModelKind.CLASSIFIER, Role.ANOMALY: ModelKind.ANOMALY}


def book() -> RecipeBook:
    """The folders that the services search: STRIPWATCH_RECIPES, else the recipes that ship."""
    named = os.environ.get("STRIPWATCH_RECIPES", "")
    return RecipeBook([Path(part) for part in named.split(os.pathsep) if part] or default_folders())


def check_models(recipe: Recipe, models: ModelStore) -> tuple[list[str], list[str]]:
    """What is wrong with it, and what could not be checked because a model is not here."""
    errors: list[str] = []
    warnings: list[str] = []
    for role, name in sorted(recipe.models.items()):
        try:
            manifest = read_manifest(models.find(name).path)
        except NotFound as error:
            warnings.append(f"models.{role.value}: {error}; `stripwatch models build --help` says how to build one")
            continue
        if manifest.kind is not KINDS[role]:
            article = "an" if manifest.kind is ModelKind.ANOMALY else "a"
            errors.append(f"models.{role.value}: {manifest.ref} is {article} {manifest.kind.value} model")
        elif role is Role.CLASSIFIER:
            for key, labels in (("healthy", recipe.healthy), ("classes", recipe.classes)):
                errors += [_unknown(key, one, manifest.classes) for one in labels if one not in manifest.classes]
    return sorted(errors), warnings


def _unknown(key: str, label: str, classes: Sequence[str]) -> str:
    close = difflib.get_close_matches(label, classes, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{key}: the classifier has no class {label!r}{hint}; it has {', '.join(classes)}"
