"""Recipes as operators write them: YAML files, checked key by key."""

from stripwatch.recipes.book import RecipeBook, default_folders, read_recipe
from stripwatch.recipes.parse import parse_recipe
from stripwatch.recipes.schema import recipe_schema

__all__ = ["RecipeBook", "default_folders", "parse_recipe", "read_recipe", "recipe_schema"]
