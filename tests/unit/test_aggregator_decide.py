"""From a run's state to its verdict."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator_cases import (
    FRAME_MM2,
    MODELS,
    RECIPE,
    ROLES,
    RUN,
    bitmap,
    end,
    failed,
    result,
    rules,
    scratch,
    start,
    state,
    tile,
)
from stripwatch.domain.box import Box
from stripwatch.domain.frame import IndexRange, RunId
from stripwatch.domain.recipe import Disposition, Role
from stripwatch.domain.result import FrameResult, TileScore
from stripwatch.domain.strip import Shed
from stripwatch.domain.verdict import LossReason, StripVerdict
from stripwatch.errors import BadInput
from stripwatch.ports import CameraState, RunState
from stripwatch.rpc.codec.results import decode_result, encode_result
from stripwatch_aggregator.account import account, shed_frames
from stripwatch_aggregator.decide import decide
from stripwatch_aggregator.event import verdict_event
from stripwatch_aggregator.keep import what_to_keep
from stripwatch_aggregator.over import is_over

LENIENT = RECIPE + "min_coverage: 0.5\n"


def verdict(given_state: RunState) -> StripVerdict:
    return decide(given_state, account(given_state), 9_000)


def losses(given_verdict: StripVerdict, camera: int = 0) -> list[tuple[int, int, str, str]]:
    lost = given_verdict.cameras[camera].lost
    return [(loss.frames.first, loss.frames.last, loss.reason.value, loss.detail) for loss in lost]


def test_a_clean_strip_is_accepted() -> None:
    found = verdict(state([result(index) for index in range(10)], [end(10)]))
    assert (found.disposition, found.reasons, found.defects) == (Disposition.ACCEPT, (), ())
    assert (found.coverage, found.partial, found.inspected_mm2) == (10_000, False, 10 * FRAME_MM2)
    assert (found.models, found.spoke) == (MODELS, ROLES)
    assert (found.recipe, found.recipe_version) == ("test", "1")


def test_one_defect_asks_for_a_review_and_says_why() -> None:
    found = verdict(state([result(index, scratch(1) if index == 1 else None) for index in range(200)], [end(200)]))
    assert found.disposition is Disposition.REVIEW
    assert found.reasons == ("scratches: 1 defect on 4.00 m² (more than 0 a m² asks for a review)",)
    assert [(one.label, one.confidence, one.box.x_mm, one.box.y_mm) for one in found.defects] == [
        ("scratches", 9500, 100, 50)
    ]


def test_many_defects_reject() -> None:
    found = verdict(state([result(index, scratch(index)) for index in range(10)], [end(10)]))
    assert found.disposition is Disposition.REJECT
    assert found.reasons[0].startswith("scratches: 10 defects on 0.20 m² (more than 5 a m² rejects)")


def test_a_long_defect_rejects() -> None:
    long = [result(index, {**scratch(index, 0), **scratch(index, 1)}) for index in range(4)]
    found = verdict(state([*long, *(result(index) for index in range(4, 100))], [end(100)]))
    assert found.disposition is Disposition.REJECT
    assert "scratches of 400 mm: one longer than 300 mm rejects" in found.reasons[0]


def test_every_frame_is_accounted_for_with_its_reason() -> None:
    shed = (Shed(IndexRange(6, 8), "byte budget"),)
    results = [result(0), failed(1, "truncated"), failed(2, "truncated"), failed(3, "16 bit"), result(7), result(10)]
    found = verdict(state(results, [end(12, shed=shed)]))
    account_of = found.cameras[0]
    assert losses(found) == [
        (1, 2, "failed", "truncated"),
        (3, 3, "failed", "16 bit"),
        (4, 5, "never-seen", ""),
        (6, 6, "shed", "byte budget"),
        (8, 8, "shed", "byte budget"),
        (9, 9, "never-seen", ""),
        (11, 11, "never-seen", ""),
    ]
    assert (account_of.expected, account_of.judged) == (12, 3)
    assert found.partial
    assert found.coverage == 2_500


frames = st.integers(0, 40)
outcomes = st.dictionaries(st.integers(0, 45), st.sampled_from(["judged", "failed", "both", "shed"]), max_size=40)


@given(frames, outcomes, st.booleans())
def test_expected_is_always_judged_and_lost(count: int, plan: dict[int, str], ended: bool) -> None:
    results: list[FrameResult] = []
    for index, what in plan.items():
        results += [failed(index, "broken")] if what in ("failed", "both") else []
        results += [result(index)] if what in ("judged", "both") else []
    shed = tuple(Shed(IndexRange(i, i), "full") for i, what in plan.items() if what == "shed" and i < count)
    given_state = state(results, [end(count, shed=shed)] if ended else [])
    ledger = account(given_state)
    (one,) = ledger.cameras
    covered = sorted(index for loss in one.lost for index in range(loss.frames.first, loss.frames.last + 1))
    assert one.expected == one.judged + len(covered)
    assert len(set(covered)) == len(covered)
    assert one.judged == len([what for what in plan.values() if what in ("judged", "both")])
    known = {index for index, what in plan.items() if what != "shed"} | {
        frame for s in shed for frame in [s.frames.first]
    }
    assert ledger.complete is (ended and known >= set(range(count)))


@settings(deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_verdict_does_not_depend_on_the_order_of_anything(chance: random.Random) -> None:
    begun = start(cameras=("c1", "b1"))
    results = [result(index, scratch(index, 0, index % 4) if index % 3 else None) for index in range(12)]
    results += [
        result(
            index,
            {(0, 0): tile(index * 100, 0, anomaly=30_000), (1, 0): tile(index * 100 + 50, 0, anomaly=20_000)},
            "b1",
        )
        for index in range(5)
    ]
    results += [
        failed(20, "broken"),
        failed(21, "torn"),
        failed(3, "broken"),
        result(6, None, "b1", models=("steel/2", "texture/1")),
    ]
    ends = [end(24, shed=(Shed(IndexRange(22, 23), "full"), Shed(IndexRange(22, 22), "again"))), end(7, "b1")]
    first = verdict_event(verdict(state(results, ends, begun)))
    chance.shuffle(results)
    chance.shuffle(ends)
    shuffled = state(results, ends, begun)
    flagged = list(shuffled.flagged) + list(shuffled.flagged)[:2]
    chance.shuffle(flagged)
    failures = list(shuffled.failures.items())
    chance.shuffle(failures)
    assert verdict_event(verdict(replace(shuffled, flagged=tuple(flagged), failures=dict(failures)))) == first


def test_two_runs_of_the_same_frames_differ_only_in_time_run_and_ids() -> None:
    def of(run: RunId, at: int) -> StripVerdict:
        found = verdict(
            state([result(index, scratch(index), run=run) for index in range(3)], [end(3, run=run)], start(run))
        )
        return replace(found, decided_at_ns=at)

    one, other = of(RUN, 1), of(RunId("line1", "strip7", "run2"), 2)
    assert replace(other, run=RUN, decided_at_ns=1) == one
    assert replace(other, run=RUN, decided_at_ns=1).verdict_id != other.verdict_id


def test_a_frame_failed_and_then_judged_counts_as_judged() -> None:
    found = verdict(state([failed(0, "broken"), result(0)], [end(1)]))
    assert (found.cameras[0].judged, losses(found), found.disposition) == (1, [], Disposition.ACCEPT)


def test_a_strip_without_frames_is_never_accepted() -> None:
    found = verdict(state([], [end(0)]))
    assert (found.disposition, found.coverage, found.partial) == (Disposition.REVIEW, 0, False)
    assert found.reasons == ("no strip was inspected", "coverage 0.00 %, and the recipe asks for 99.00 %")
    assert (found.models, found.spoke) == ((), frozenset())


def test_a_strip_of_which_every_frame_failed_is_never_accepted() -> None:
    found = verdict(state([failed(0, "broken"), failed(1, "broken")], [end(2)], recipe=LENIENT))
    assert found.disposition is Disposition.REVIEW


def test_a_run_that_no_worker_took_up_gets_a_verdict_all_the_same() -> None:
    found = verdict(state([], [end(5)], recipe=None))
    assert (found.disposition, found.recipe, found.recipe_version) == (Disposition.REVIEW, "test", "")
    assert losses(found) == [(0, 4, "never-seen", "")]


def test_two_cameras_are_accounted_for_one_by_one() -> None:
    begun = start(cameras=("c1", "b1"))
    results = [*(result(index) for index in range(4)), *(result(index, camera="b1") for index in range(3))]
    found = verdict(state(results, [end(4), end(4, "b1")], begun))
    assert [(one.camera, one.expected, one.judged) for one in found.cameras] == [("c1", 4, 4), ("b1", 4, 3)]
    assert found.coverage == 8_750


def test_little_coverage_is_never_accepted_unless_the_recipe_says_so() -> None:
    results = [result(index) for index in range(9)]
    strict = verdict(state(results, [end(10)]))
    assert strict.disposition is Disposition.REVIEW
    assert strict.reasons == ("coverage 90.00 %, and the recipe asks for 99.00 %",)
    lenient = verdict(state(results, [end(10)], recipe=LENIENT))
    assert (lenient.disposition, lenient.partial) == (Disposition.ACCEPT, True)


def test_an_unknown_kind_of_defect_is_for_an_inspector() -> None:
    recipe = RECIPE.replace("min_tiles: 2", "min_tiles: 2, unknown_below: 0.6")
    torn = TileScore(Box(0.0, 0.0, 50.0, 50.0), (4_500, 500, 5_000), 20_000)
    found = verdict(state([result(0, {(0, 0): torn}), result(1)], [end(2)], recipe=recipe))
    assert (found.disposition, [defect.label for defect in found.defects]) == (Disposition.REVIEW, ["unknown"])
    assert found.reasons == ("unknown: 1 defect on 0.04 m² (more than 0 a m² asks for a review)",)


def test_a_camera_that_never_ended_keeps_a_strip_of_unknown_length_from_being_accepted() -> None:
    results = [result(index) for index in range(9)]
    unknown = verdict(state(results, [], live=True, recipe=LENIENT))
    assert (unknown.disposition, unknown.coverage, unknown.partial) == (Disposition.REVIEW, 9_999, True)
    assert "never ended" in unknown.reasons[0]
    declared = verdict(state(results, [], start(live=True, length_mm=1000), recipe=LENIENT))
    assert (declared.disposition, declared.coverage) == (Disposition.ACCEPT, 9_000)


def test_a_camera_that_never_spoke_counts_as_lost_strip() -> None:
    begun = start(cameras=("c1", "b1"), live=True)
    found = verdict(state([result(index) for index in range(10)], [end(10)], begun, recipe=RECIPE))
    assert (found.coverage, found.disposition) == (5_000, Disposition.REVIEW)


def test_a_lost_frame_counts_with_what_its_camera_declared_when_the_others_held_little_steel() -> None:
    head = replace(result(0), inspected_mm2=100, strip_mm2=100)
    assert verdict(state([head], [end(2)])).coverage == 100 * 10_000 // (100 + FRAME_MM2)


def test_a_required_service_that_was_silent_asks_for_a_review() -> None:
    silent = replace(
        result(1), tiles=tuple(replace(one, probabilities=()) for one in result(1).tiles), models=("texture/1",)
    )
    found = verdict(state([result(0), silent], [end(2)]))
    assert found.disposition is Disposition.REVIEW
    assert found.reasons == ("the classifier is required and did not score every tile",)
    assert found.spoke == {Role.ANOMALY}


def test_an_optional_service_that_was_silent_is_said_and_no_more() -> None:
    silent = replace(result(1), tiles=tuple(replace(one, anomaly=None) for one in result(1).tiles), models=("steel/1",))
    found = verdict(state([result(0), silent], [end(2)]))
    assert (found.disposition, found.spoke) == (Disposition.ACCEPT, frozenset({Role.CLASSIFIER}))


def test_two_versions_of_a_model_are_named_and_at_best_a_review() -> None:
    found = verdict(state([result(0), result(1, models=("steel/2", "texture/1"))], [end(2)]))
    assert found.models == ("steel/1", "steel/2", "texture/1")
    assert found.disposition is Disposition.REVIEW
    assert found.reasons == ("more than one version of a model judged this run: steel/1, steel/2",)


def test_cameras_that_the_run_did_not_declare_ask_for_a_review() -> None:
    found = verdict(state([result(0), result(0, camera="c9")], [end(1)]))
    assert found.reasons == ("frames of cameras that the run did not declare: c9",)


def test_an_unremarkable_frame_keeps_nothing_and_a_flagged_one_only_what_matters() -> None:
    assert what_to_keep(result(0), rules()) == b""
    kept = decode_result(what_to_keep(result(0, scratch(0)), rules()))
    assert [one.box.y_mm for one in kept.tiles] == [50.0]
    assert kept.models == MODELS
    with_crop = replace(
        result(0, scratch(0)), tiles=tuple(replace(one, crop=b"jpeg") for one in result(0, scratch(0)).tiles)
    )
    assert decode_result(what_to_keep(with_crop, rules())) == kept


def test_a_frame_scored_by_another_version_is_kept_without_its_tiles() -> None:
    kept = decode_result(what_to_keep(result(0, models=("steel/2", "texture/1")), rules()))
    assert (kept.tiles, kept.models) == ((), ("steel/2", "texture/1"))


def test_a_frame_of_an_unpinned_run_is_kept_whole() -> None:
    assert what_to_keep(result(0), None) == encode_result(result(0))


def test_a_frame_beside_the_strip_is_unremarkable() -> None:
    assert what_to_keep(replace(result(0), tiles=(), models=(), inspected_mm2=0, strip_mm2=0), rules()) == b""


@pytest.mark.parametrize(
    ("live", "idle_ms", "busy", "over"),
    [
        (True, 1_000, False, True),
        (True, 999, False, False),
        (True, 5_000, True, False),
        (False, 10**9, False, False),
    ],
)
def test_without_its_ends_only_a_live_run_with_nothing_under_way_ends_by_the_clock(
    live: bool, idle_ms: int, busy: bool, over: bool
) -> None:
    waiting = state([result(0)], [], live=live, idle_ms=idle_ms, busy=busy)
    assert is_over(waiting, account(waiting)) is over


@pytest.mark.parametrize(("idle_ms", "busy", "over"), [(1_000, False, True), (999, False, False), (5_000, True, False)])
def test_a_replay_whose_ends_are_in_does_not_wait_for_ever_for_a_lost_frame(
    idle_ms: int, busy: bool, over: bool
) -> None:
    waiting = state([result(0)], [end(2)], idle_ms=idle_ms, busy=busy)
    assert is_over(waiting, account(waiting)) is over


def test_no_verdict_whose_frames_do_not_add_up_can_be_made() -> None:
    whole = account(state([result(0)], [end(3)])).cameras[0]
    for wrong in ({"judged": 2}, {"never_seen": 3}, {"expected": 2}, {"lost": ()}):
        with pytest.raises(BadInput, match="camera c1"):
            replace(whole, **wrong)


def test_a_verdict_lists_a_bounded_number_of_ranges_and_counts_them_all() -> None:
    account_of = account(state([result(index) for index in range(0, 1_000, 2)], [end(1_000)])).cameras[0]
    assert (account_of.judged, account_of.never_seen, len(account_of.lost)) == (500, 500, 100)


def test_frames_beyond_those_that_are_kept_ask_for_a_review() -> None:
    found = verdict(replace(state([result(0, scratch(0)), result(1)], [end(2)]), beyond=7))
    assert "more remarkable frames than are kept: defects in the last 7 are not listed" in found.reasons
    assert found.disposition is not Disposition.ACCEPT


def test_a_complete_run_is_over_whatever_the_clock_says() -> None:
    done = state([result(0), failed(1, "broken")], [end(3, shed=(Shed(IndexRange(2, 2), "full"),))], busy=True)
    assert is_over(done, account(done))


def test_shed_ranges_that_overlap_count_each_frame_once() -> None:
    overlapping = (Shed(IndexRange(0, 5), "a"), Shed(IndexRange(3, 4), "b"), Shed(IndexRange(5, 7), "c"))
    assert shed_frames(end(10, shed=overlapping)) == 8


def test_a_hundred_thousand_frames_are_decided_without_looking_at_each_pair() -> None:
    count = 100_000
    flagged = [result(index, scratch(index, index % 2, index % 4)) for index in range(0, count, 20)]
    given_state = state(flagged, [end(count)])
    everything = CameraState(
        end=given_state.cameras["c1"].end,
        judged=b"\xff" * (count // 8),
        inspected_mm2=count * FRAME_MM2,
        strip_mm2=count * FRAME_MM2,
    )
    failures = {("c1", index): f"reason {index}" for index in range(0, count, 3)}
    found = verdict(replace(given_state, cameras={"c1": everything}, failures=failures))
    assert (found.cameras[0].judged, found.found, found.coverage) == (count, count // 20, 10_000)
    assert len(found.defects) == 1_000
    gappy = replace(everything, judged=b"\xaa" * (count // 8), failed=bitmap(range(1, count, 6)))
    found = verdict(replace(given_state, cameras={"c1": gappy}, failures=failures))
    assert found.cameras[0].judged == count // 2
    assert {loss.reason for loss in found.cameras[0].lost} == {LossReason.FAILED, LossReason.NEVER_SEEN}
