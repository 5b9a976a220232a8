"""The JSON Schema of recipe files, for editors; docs/schemas/recipe.schema.json is its committed copy."""

from __future__ import annotations

import json

from stripwatch.recipes.layout import RecipeLayout


def recipe_schema() -> str:
    """The schema as JSON text, draft 2020-12."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **RecipeLayout.model_json_schema()}
    return json.dumps({**schema, "title": "stripwatch recipe"}, indent=2, sort_keys=True) + "\n"
