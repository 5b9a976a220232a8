"""`stripwatch recipe`: is this a recipe, and does it fit the models?"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from stripwatch.cli.model_checks import store
from stripwatch.cli.recipe_checks import book, check_models
from stripwatch.cli.show import console, emit, table
from stripwatch.cli.where import JsonOption
from stripwatch.domain.names import printable
from stripwatch.domain.recipe import Recipe
from stripwatch.errors import NotFound, RecipeInvalid
from stripwatch.recipes import read_recipe

app = typer.Typer(help="Check the rules that make a verdict.", no_args_is_help=True)


@app.callback()
def recipes() -> None:
    """Check the rules that make a verdict."""


@app.command()
def check(
    recipe: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A file, or the name of a recipe there is")],
    as_json: JsonOption = False,
) -> None:
    """Says whether a recipe is valid, and if not, which key is wrong.

    Its classes are held against the classifier that it names, where that is at hand.
    """
    found = find(recipe)
    errors, warnings = check_models(found, store())
    for warning in warnings:
        sys.stderr.write(f"warning: {printable(warning)}\n")
    if errors:
        raise RecipeInvalid(f"{recipe}: {'; '.join(errors)}")
    models = {role.value: model for role, model in sorted(found.models.items())}
    if as_json:
        emit({"name": found.name, "version": found.version, "sha256": found.sha256, "models": models})
        return
    rows = [
        ("recipe", f"{found.name} {found.version}"),
        *models.items(),
        ("healthy", ", ".join(sorted(found.healthy))),
        ("classes", ", ".join(found.classes) or "all by one rule"),
        ("sha256", found.sha256[:16]),
    ]
    console().print(table(("valid", ""), rows))


def find(recipe: str) -> Recipe:
    """By the file's path, else by name; NotFound lists what there is."""
    file = Path(recipe)
    if os.path.isfile(file):  # noqa: PTH113 - a name that is too long for a file is none, not an OSError
        return read_recipe(file)
    if file.suffix in (".yaml", ".yml") or len(file.parts) != 1:
        raise NotFound(f"{recipe}: there is no such file")
    return book().find(recipe)
