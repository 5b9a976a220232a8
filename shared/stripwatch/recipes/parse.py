"""From a recipe's text to the domain's Recipe; every problem is named at once."""

from __future__ import annotations

import difflib
import hashlib
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stripwatch.domain.names import shown
from stripwatch.domain.recipe import AnomalyRule, ClassRule, Cutting, Exclusion, Recipe, Role
from stripwatch.errors import RecipeInvalid
from stripwatch.recipes.layout import AnomalyLayout, ClassLayout, RecipeLayout
from stripwatch.recipes.text import read_yaml

UNITS = 10_000
"""Whole units of QUANTUM in one: a recipe says 0.8, decisions compare with 8,000."""


_MOST_PROBLEMS = 20


@lru_cache(maxsize=64)  # every run asks for its recipe, and YAML is slow
def parse_recipe(text: str) -> Recipe:
    """The recipe in the YAML `text`; RecipeInvalid names each key that is wrong, what was expected and what came."""
    value = read_yaml(text)
    if not isinstance(value, dict):
        raise RecipeInvalid(f"recipe: expected keys and values, got {_short(value)}")
    try:
        layout = RecipeLayout.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = "; ".join(_problem(detail) for detail in found[:_MOST_PROBLEMS])
        if len(found) > _MOST_PROBLEMS:
            problems += f"; and {len(found) - _MOST_PROBLEMS} more"
        raise RecipeInvalid(f"recipe {_short(value.get('name', 'without a name'))}: {problems}") from error
    return _recipe(layout, text)


def _recipe(layout: RecipeLayout, text: str) -> Recipe:
    named = {Role.CLASSIFIER: layout.models.classifier, Role.ANOMALY: layout.models.anomaly}
    models = {role: model for role, model in named.items() if model is not None}
    required = list(models)[:1] if layout.required is None else layout.required
    return Recipe(
        name=layout.name,
        version=layout.version,
        models=models,
        required=frozenset(Role(role) for role in required),
        healthy=frozenset(layout.healthy),
        classes={label: _class_rule(rule) for label, rule in layout.classes.items()},
        other=_class_rule(layout.other),
        anomaly=_anomaly_rule(layout.anomaly),
        cutting=Cutting(**layout.cutting.model_dump()),
        exclusion=Exclusion(**layout.exclusion.model_dump()),
        min_coverage=round(layout.min_coverage * UNITS),
        merge_gap_mm=layout.merge_gap_mm,
        sha256=hashlib.sha256(text.encode("utf-8")).hexdigest(),
        text=text,
    )


def _class_rule(layout: ClassLayout) -> ClassRule:
    return ClassRule(**{**layout.model_dump(), "confidence": round(layout.confidence * UNITS)})


def _anomaly_rule(layout: AnomalyLayout) -> AnomalyRule:
    consequence = layout.model_dump(exclude={"threshold", "min_tiles", "unknown_below", "usual_below"})
    return AnomalyRule(
        round(layout.threshold * UNITS),
        layout.min_tiles,
        round(layout.unknown_below * UNITS),
        round(layout.usual_below * UNITS),
        ClassRule(**consequence),
    )


def _problem(detail: ErrorDetails) -> str:
    """`KEY.KEY: expected ..., got ...` for one of pydantic's findings."""
    path = ".".join(shown(str(part), 80) for part in detail["loc"])
    match detail["type"]:
        case "extra_forbidden":
            known = sorted(_keys_at(detail["loc"][:-1]))
            close = difflib.get_close_matches(shown(str(detail["loc"][-1]), 80), known, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            return f"{path}: unknown key{hint}; expected one of {', '.join(known)}"
        case "missing":
            return f"{path}: missing"
        case "value_error":
            message = shown(detail["msg"].removeprefix("Value error, "))
            return f"{path}: {message}" if path else message
        case "string_type" if isinstance(detail["input"], int | float):
            return f"{path}: expected text (in quotes), got {_short(detail['input'])}"
        case "string_pattern_mismatch":
            return f"{path}: expected a name of A-Z a-z 0-9 _ . -, got {_short(detail['input'])}"
        case _:
            expected = detail["msg"].removeprefix("Input should be ")
            return f"{path}: expected {expected}, got {_short(detail['input'])}"


def _keys_at(path: tuple[int | str, ...]) -> list[str]:
    """The keys that the layout has at a path."""
    place: type[BaseModel] = RecipeLayout
    for part in path:
        field = place.model_fields.get(str(part))
        if field is None:
            continue  # the name of a class under `classes`
        inner: Any = field.annotation
        place = ClassLayout if str(part) == "classes" else inner
    return list(place.model_fields)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
