"""`stripwatch recipe`: is this file a recipe?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stripwatch.cli.show import console, emit, table
from stripwatch.cli.where import JsonOption
from stripwatch.errors import BadInput, RecipeInvalid
from stripwatch.recipes import parse_recipe

app = typer.Typer(help="Check the rules that make a verdict.", no_args_is_help=True)


@app.callback()
def recipes() -> None:
    """Check the rules that make a verdict."""


@app.command()
def check(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)], as_json: JsonOption = False) -> None:
    """Says whether a recipe file is valid, and if not, which key is wrong."""
    try:
        recipe = parse_recipe(file.read_text(encoding="utf-8"))
    except RecipeInvalid as error:
        raise RecipeInvalid(f"{file}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file}: cannot be read as text: {error}") from error
    models = {role.value: model for role, model in sorted(recipe.models.items())}
    if as_json:
        emit({"name": recipe.name, "version": recipe.version, "sha256": recipe.sha256, "models": models})
        return
    rows = [
        ("recipe", f"{recipe.name} {recipe.version}"),
        *models.items(),
        ("healthy", ", ".join(sorted(recipe.healthy))),
        ("classes", ", ".join(recipe.classes) or "all by one rule"),
        ("sha256", recipe.sha256[:16]),
    ]
    console().print(table(("valid", ""), rows))
