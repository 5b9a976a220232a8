"""Folders of recipes: NAME.yaml each, the first folder that has a name wins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stripwatch.domain.names import NAME, check_name
from stripwatch.domain.recipe import Recipe
from stripwatch.errors import NotFound, RecipeInvalid
from stripwatch.recipes.parse import parse_recipe
from stripwatch.recipes.text import MAX_BYTES


def default_folders() -> tuple[Path, ...]:
    """The folder of the recipes that ship with stripwatch."""
    return (Path(__file__).parent,)


class RecipeBook:
    """Finds recipes by name. Files are read when asked for: a changed one holds from the next run on."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)

    def names(self) -> list[str]:
        """The names of all recipes there are."""
        return sorted(
            {path.stem for folder in self._folders for path in folder.glob("*.yaml") if NAME.fullmatch(path.stem)}
        )

    def find(self, name: str) -> Recipe:
        """The recipe NAME; NotFound lists what there is, RecipeInvalid names the file and what is wrong in it."""
        check_name("recipe", name)
        for folder in self._folders:
            path = folder / f"{name}.yaml"
            if path.is_file():
                return read_recipe(path)
        places = ", ".join(str(folder) for folder in self._folders)
        raise NotFound(f"recipe {name}: not in {places}; there are {', '.join(self.names()) or 'none'}")


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file; RecipeInvalid names the file and what is wrong in it, its name included."""
    try:
        with path.open("rb") as file:
            recipe = parse_recipe(file.read(MAX_BYTES + 1).decode("utf-8"))
    except RecipeInvalid as error:
        raise RecipeInvalid(f"{path}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeInvalid(f"{path}: cannot be read as text: {error}") from error
    if recipe.name != path.stem:
        raise RecipeInvalid(f"{path}: name: expected {path.stem!r} like the file, got {recipe.name!r}")
    return recipe
