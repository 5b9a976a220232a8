"""What is kept of a frame's result: enough that the verdict knows which services spoke, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aggregator_cases import end, result, rules, scratch, state
from stripwatch.domain.recipe import Role
from stripwatch.domain.result import FrameResult
from stripwatch.rpc.codec.results import decode_result
from stripwatch_aggregator.account import account
from stripwatch_aggregator.decide import decide
from stripwatch_aggregator.keep import what_to_keep

BOTH = frozenset({Role.CLASSIFIER, Role.ANOMALY})


def without(one: FrameResult, role: Role, place: int) -> FrameResult:
    """The frame with one tile that a service did not score."""
    tiles = list(one.tiles)
    change = {"probabilities": ()} if role is Role.CLASSIFIER else {"anomaly": None}
    tiles[place] = replace(tiles[place], **change)  # type: ignore[arg-type]
    return replace(one, tiles=tuple(tiles))


def test_nothing_is_kept_of_a_frame_that_both_services_found_healthy() -> None:
    assert what_to_keep(result(3), rules()) == b""
    assert what_to_keep(replace(result(3), tiles=()), None) == b""


@pytest.mark.parametrize("role", list(Role))
def test_one_tile_that_a_service_did_not_score_is_kept_and_the_verdict_says_so(role: Role) -> None:
    silent = without(without(result(3), role, 2), role, 5)
    kept = decode_result(what_to_keep(silent, rules()))
    assert kept.tiles == (silent.tiles[2],)
    known = state([result(0), silent, result(1)], [end(2)])
    assert decide(known, account(known), 1).spoke == BOTH - {role}


def test_a_tile_that_counts_is_no_witness_of_a_silence_elsewhere() -> None:
    silent = without(result(3, scratch(3, 0, 1)), Role.ANOMALY, 6)
    assert decode_result(what_to_keep(silent, rules())).tiles == (silent.tiles[1], silent.tiles[6])


def test_a_frame_judged_by_other_models_than_the_pinned_is_kept_without_a_tile() -> None:
    other = result(3, models=("steel/2", "texture/1"))
    kept = decode_result(what_to_keep(other, rules()))
    assert (kept.models, kept.tiles) == (("steel/2", "texture/1"), ())
