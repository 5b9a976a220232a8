"""YAML as recipes use it: plain values only, no key twice, no anchors, no tags, no more than 64 KiB."""

from __future__ import annotations

import re
from typing import Any

import yaml

from stripwatch.domain.names import shown
from stripwatch.errors import RecipeInvalid

MAX_BYTES = 64 * 1024

_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_FRACTION = re.compile(r"[-+]?(?=\.?[0-9])[0-9]{0,18}\.?[0-9]{0,18}(?:[eE][-+]?[0-9]{1,3})?")


class _PlainLoader(yaml.SafeLoader):
    """The safe loader, less what a recipe has no use for."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.composer.ComposerError(None, None, "anchors and aliases are not taken", event.start_mark)
        if getattr(event, "tag", None):
            raise yaml.composer.ComposerError(None, None, "tags (!) are not taken", event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "expected a word as key", key.start_mark)
            if key.tag == "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, "merge keys (<<) are not taken", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} twice", key.start_mark)
            seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def _whole(_loader: _PlainLoader, node: yaml.ScalarNode) -> int:
    return int(_decimal(node, _WHOLE, "whole number of at most 18 digits"))


def _fraction(_loader: _PlainLoader, node: yaml.ScalarNode) -> float:
    if node.value.lower().endswith((".inf", ".nan")):  # the key's own rule refuses it, and names the key
        return float("nan")
    return float(_decimal(node, _FRACTION, "number of at most 18 digits before and after its point"))


def _decimal(node: yaml.ScalarNode, form: re.Pattern[str], what: str) -> str:
    """Of YAML's spellings the decimal one: 1:30 is no 90, and 64 KiB of digits are no number."""
    text: str = node.value
    if not form.fullmatch(text):
        raise yaml.constructor.ConstructorError(
            None, None, f"expected a {what}, got {shown(text, 40)}", node.start_mark
        )
    return text


_PlainLoader.add_constructor("tag:yaml.org,2002:int", _whole)
_PlainLoader.add_constructor("tag:yaml.org,2002:float", _fraction)


def read_yaml(text: str) -> Any:
    """The text's value; RecipeInvalid names line and column of what cannot be read."""
    size = len(text.encode("utf-8", errors="replace"))
    if size > MAX_BYTES:
        raise RecipeInvalid(f"recipe: expected at most {MAX_BYTES} bytes, got {size} or more")
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 (derives from SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise RecipeInvalid(f"recipe: {place}{shown(str(error.problem or error.context), 200)}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecipeInvalid(f"recipe: expected YAML, got text that is none: {shown(str(error), 200)}") from error
