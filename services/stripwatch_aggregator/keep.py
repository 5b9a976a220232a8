"""What of a frame's result is kept until the verdict: nothing, for most frames."""

from __future__ import annotations

from dataclasses import replace

from stripwatch.domain.reading import read_tile
from stripwatch.domain.recipe import Role
from stripwatch.domain.result import FrameResult, TileScore
from stripwatch.rpc.codec.results import encode_result
from stripwatch_aggregator.rules import Rules, silent_roles


def what_to_keep(result: FrameResult, rules: Rules | None) -> bytes:
    """The result less the tiles that cannot matter, without crops; empty for an unremarkable frame.

    A frame is unremarkable if none of its tiles counts and the pinned models scored all of them. Whatever else is
    kept, so the verdict can take every frame that is not kept for one that the pinned models found healthy.
    """
    if rules is None:
        return encode_result(_without_crops(result, result.tiles)) if result.tiles else b""
    silent = silent_roles(result, rules.pins) if result.tiles else frozenset()
    as_pinned = not result.tiles or sorted(result.models) == sorted(rules.pins.models.values())
    kept: list[TileScore] = []
    unheard = set(silent)
    for tile in result.tiles:
        witness = {role for role in unheard if _lacks(tile, role)}  # one tile is enough to show that a role was silent
        unheard -= witness
        if witness or read_tile(tile, result.classes, rules.recipe) is not None:
            kept.append(tile)
    if as_pinned and not kept:
        return b""
    return encode_result(_without_crops(result, tuple(kept)))


def _lacks(tile: TileScore, role: Role) -> bool:
    return not tile.probabilities if role is Role.CLASSIFIER else tile.anomaly is None


def _without_crops(result: FrameResult, tiles: tuple[TileScore, ...]) -> FrameResult:
    return replace(result, tiles=tuple(replace(tile, crop=b"") for tile in tiles))
