"""What a run is judged by: its start marker and its pins, never this machine's own files."""

from __future__ import annotations

from dataclasses import dataclass

from stripwatch.domain.recipe import Recipe, Role
from stripwatch.domain.result import FrameResult
from stripwatch.domain.strip import RunStart
from stripwatch.errors import BadInput
from stripwatch.recipes import parse_recipe
from stripwatch.rpc.codec.frames import decode_start
from stripwatch.rpc.codec.results import Pins, decode_pins


@dataclass(frozen=True, slots=True)
class Rules:
    """One run's start, pins and recipe."""

    start: RunStart
    pins: Pins
    recipe: Recipe


def read_rules(start: bytes, pins: bytes) -> Rules | None:
    """The run's rules; None where no worker pinned any, or where the pins cannot be read."""
    if not start or not pins:
        return None
    try:
        pinned = decode_pins(pins)
        return Rules(decode_start(start), pinned, parse_recipe(pinned.recipe_text))
    except BadInput:
        return None


def silent_roles(result: FrameResult, pins: Pins) -> frozenset[Role]:
    """The pinned services that did not score each of the frame's tiles."""
    names = {model.partition("/")[0] for model in result.models}
    silent = {role for role, model in pins.models.items() if model.partition("/")[0] not in names}
    if any(not tile.probabilities for tile in result.tiles):
        silent.add(Role.CLASSIFIER)
    if any(tile.anomaly is None for tile in result.tiles):
        silent.add(Role.ANOMALY)
    return frozenset(silent & set(pins.models))
