"""The worker on a line in memory: every frame has one outcome, whatever happens around it."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from preprocess_cases import DEFECT_GREY, HEALTHY_GREY, POISON_GREY, RUN, Plant, header_of, recipe, strip_image
from stripwatch.domain.frame import RunId
from stripwatch.domain.model import DescriptorSpec
from stripwatch.domain.recipe import Role
from stripwatch.domain.result import Outcome
from stripwatch.errors import (
    BadInput,
    DeadlineExceeded,
    Overloaded,
    PeerUnavailable,
    StreamUnavailable,
    StripwatchError,
)
from stripwatch.ports import Event, Kind, Outgoing
from stripwatch.rpc.codec.frames import encode_header
from stripwatch.rpc.codec.results import decode_pins, encode_result
from stripwatch_preprocess.plan import Plan

HEALTHY, DEFECT, POISON = strip_image(HEALTHY_GREY), strip_image(DEFECT_GREY), strip_image(POISON_GREY)


def started(*images: object, **changes: str) -> Plant:
    plant = Plant(recipe=recipe(**changes))
    plant.start()
    plant.send(*images)  # type: ignore[arg-type]
    return plant


def test_a_run_goes_through_and_nothing_is_left_behind() -> None:
    plant = started(HEALTHY, DEFECT)
    plant.end(2)
    worker = plant.worker()
    worker.until(lambda: len(plant.kinds()) == 4)
    assert sorted(plant.kinds()) == [Kind.END, Kind.RESULT, Kind.RESULT, Kind.START]
    healthy, defect = plant.results()[0], plant.results()[1]
    assert [tile.probabilities for tile in healthy.tiles] == [(9_500, 500)] * 3
    assert [tile.probabilities for tile in defect.tiles] == [(1_000, 9_000)] * 3
    assert [bool(tile.crop) for tile in defect.tiles] == [True, True, False]
    assert defect.models == ("steel/1", "texture/1")
    assert plant.line.frames.backlog().waiting == 0
    assert plant.line.beats.alive() == {"preprocess": ["w1"]}


def test_the_first_worker_pins_what_the_run_is_judged_by() -> None:
    plant = started(HEALTHY)
    plant.worker().until(lambda: len(plant.results()) == 1)
    pins = decode_pins(plant.line.work.info(RUN).pins)
    assert pins.recipe_sha256 == plant.recipe.sha256
    assert dict(pins.models) == {Role.CLASSIFIER: "steel/1", Role.ANOMALY: "texture/1"}
    assert dict(pins.engines) == {Role.CLASSIFIER: "ort-1", Role.ANOMALY: "ort-1"}


def test_a_run_keeps_its_pinned_recipe_and_models_when_newer_ones_appear() -> None:
    plant = started(HEALTHY)
    plant.worker("w1").until(lambda: len(plant.results()) == 1)
    plant.classifier.versions.append("2")
    plant.recipe = recipe(version='"2"')
    plant.send(HEALTHY, first=1)
    plant.worker("w2").until(lambda: len(plant.results()) == 2)
    assert plant.results()[1].models == ("steel/1", "texture/1")


def test_a_pinned_version_that_is_gone_is_replaced_and_both_are_named() -> None:
    plant = started(HEALTHY)
    worker = plant.worker()
    worker.until(lambda: len(plant.results()) == 1)
    plant.classifier.versions = ["2"]
    plant.send(HEALTHY, first=1)
    worker.until(lambda: len(plant.results()) == 2)
    assert plant.results()[1].models == ("steel/1", "steel/2", "texture/1")


def test_tiles_of_several_frames_share_a_request_and_no_request_is_too_large() -> None:
    plant = started(*[HEALTHY] * 10)
    plant.classifier.takes_s = 0.3
    plant.worker(batch_tiles=12, request_seconds=5.0).until(lambda: len(plant.results()) == 10)
    assert [count for _, count in plant.classifier.requests] == [3, 12, 12, 3]


def test_frames_do_not_wait_for_company_while_an_engine_may_be_idle() -> None:
    plant = started(*[HEALTHY] * 3)
    plant.worker(prefetch=1).until(lambda: len(plant.results()) == 3)
    assert [count for _, count in plant.classifier.requests] == [3, 3, 3]


def test_a_frame_of_more_tiles_than_a_request_holds_is_sent_in_parts() -> None:
    plant = started(strip_image([HEALTHY_GREY, DEFECT_GREY], (80, 480)))
    plant.worker(batch_tiles=5).until(lambda: len(plant.results()) == 1)
    assert [count for _, count in plant.classifier.requests] == [5, 5, 5, 5, 4]
    assert [tile.probabilities[1] for tile in plant.results()[0].tiles] == ([500] * 6 + [9_000] * 6) * 2


@pytest.mark.parametrize("settings", [{"batch_tiles": 1}, {"batch_tiles": 7, "prefetch": 3}, {"in_flight": 1}])
def test_results_do_not_depend_on_how_frames_are_batched(settings: dict[str, int]) -> None:
    images = [strip_image([60 + 7 * index, 200 - 9 * index, 100]) for index in range(9)]
    plain, other = started(*images), started(*images)
    plain.worker().until(lambda: len(plain.results()) == 9)
    other.worker(**settings).until(lambda: len(other.results()) == 9)
    assert {index: encode_result(result) for index, result in plain.results().items()} == {
        index: encode_result(result) for index, result in other.results().items()
    }


def test_a_frame_of_background_is_judged_without_asking_anyone() -> None:
    plant = started(strip_image(5))
    plant.worker().until(lambda: len(plant.results()) == 1)
    assert plant.results()[0].outcome is Outcome.JUDGED
    assert plant.classifier.requests == []


def test_an_undecodable_frame_goes_to_dead_and_the_others_are_judged() -> None:
    plant = started(HEALTHY)
    plant.send_frame(header_of(HEALTHY, 1), HEALTHY.tobytes()[:-1])
    plant.send(HEALTHY, first=2)
    plant.worker().until(lambda: len(plant.results()) == 3)
    failed = plant.results()[1]
    assert failed.outcome is Outcome.FAILED
    assert "expected 40 x 120 = 4800 bytes, got 4799" in failed.reason
    (letter,) = plant.dead()
    assert letter.reason == failed.reason
    assert letter.entry.pixels == HEALTHY.tobytes()[:-1]
    assert {plant.results()[index].outcome for index in (0, 2)} == {Outcome.JUDGED}


def test_a_frame_whose_header_cannot_be_read_goes_to_dead() -> None:
    plant = started(HEALTHY)
    other = replace(header_of(HEALTHY, 1), run=RunId("line1", "coil-8", "run-1"))
    plant.line.source.publish([Outgoing(Kind.FRAME, RUN, b"\xff\xff", b"")])
    plant.line.source.publish([Outgoing(Kind.FRAME, RUN, encode_header(other), HEALTHY.tobytes())])
    plant.worker().until(lambda: len(plant.dead()) == 2)
    assert "expected one of run line1/coil-7/run-1, got one of line1/coil-8/run-1" in plant.dead()[0].reason


def test_an_unknown_recipe_fails_the_frames_by_its_name_and_says_nothing_of_the_workers_machine() -> None:
    plant = Plant()
    plant.start("unheard-of")
    plant.send(HEALTHY)
    plant.worker().until(lambda: len(plant.dead()) == 2)
    assert plant.results()[0].reason == "recipe unheard-of: no worker has one of that name"


def test_a_frame_of_a_run_that_was_never_started_goes_to_dead() -> None:
    plant = started(HEALTHY)
    plant.line.work._memory.runs[RUN].start = b""
    plant.worker().until(lambda: len(plant.dead()) == 2)
    assert "was never started" in plant.results()[0].reason


def test_a_run_that_is_started_again_is_judged_at_once_also_by_a_worker_that_missed_its_start() -> None:
    """Found by chaos seed 4: for half a second after Redis came back empty, good frames went to `dead`."""
    plant = started(HEALTHY)
    state = plant.line.work._memory.runs[RUN]
    start, state.start = state.start, b""
    worker = plant.worker()
    worker.until(lambda: len(plant.dead()) == 2)
    state.start = start
    plant.send(HEALTHY, first=1)
    worker.until(lambda: len(plant.results()) == 2)
    assert plant.results()[1].outcome is Outcome.JUDGED


def test_a_frame_of_a_closed_run_is_finished_so_that_it_is_counted_late() -> None:
    plant = started(HEALTHY)
    revision = plant.line.work._memory.runs[RUN].revision
    assert plant.line.runs.close(RUN, revision, Event("verdict", RUN, b"{}", b""))
    plant.worker().until(lambda: len(plant.kinds()) == 2)
    assert plant.results()[0].outcome is Outcome.JUDGED
    assert plant.classifier.requests == []
    assert plant.line.frames.backlog().waiting == 0


@pytest.mark.parametrize("fault", [PeerUnavailable("away"), DeadlineExceeded("slow"), Overloaded("full", 0.001)])
def test_frames_wait_for_a_required_service_that_is_away_and_are_judged_when_it_is_back(
    fault: StripwatchError,
) -> None:
    plant = started(HEALTHY)
    worker = plant.worker(prefetch=2, in_flight=2)
    worker.until(lambda: len(plant.results()) == 1)
    plant.classifier.fault = fault
    plant.send(*[HEALTHY] * 5, first=1)
    worker.rounds(60)
    assert len(plant.results()) == 1
    assert plant.dead() == []
    assert plant.line.frames.backlog().pending <= 4
    plant.classifier.fault = None
    worker.until(lambda: len(plant.results()) == 6)
    assert all(tile.anomaly is not None for result in plant.results().values() for tile in result.tiles)


def test_a_run_that_starts_while_a_required_service_is_away_waits_unpinned() -> None:
    plant = started(HEALTHY)
    plant.classifier.fault = PeerUnavailable("away")
    worker = plant.worker()
    worker.rounds(30)
    assert plant.line.work.info(RUN).pins == b""
    assert plant.kinds() == []
    plant.classifier.fault = None
    worker.until(lambda: len(plant.kinds()) == 2)


def test_a_run_without_frames_is_pinned_before_its_end_goes_out() -> None:
    plant = Plant(recipe=recipe())
    plant.start()
    plant.end(0)
    first, second = plant.worker("w1"), plant.worker("w2")
    [begun] = plant.line.frames.read("w1", 1, 0)  # w1 has the start and is slow; w2 gets the end
    second.until(lambda: plant.kinds() == [Kind.END])
    assert decode_pins(plant.line.work.info(RUN).pins).recipe_sha256 == plant.recipe.sha256
    plant.line.frames.hand_back("w1", [begun.id])
    first.until(lambda: len(plant.kinds()) == 2)


def test_a_live_frame_and_a_replayed_one_never_share_a_batch() -> None:
    plan = Plan(recipe(), {}, {})
    assert replace(plan, live=True).key != plan.key


@pytest.mark.parametrize("pinned", [True, False])
def test_frames_of_a_live_run_are_given_up_when_a_required_service_stays_away(*, pinned: bool) -> None:
    plant = started(HEALTHY)
    worker = plant.worker(patience_seconds=0.3)
    if pinned:
        worker.until(lambda: len(plant.results()) == 1)
        plant.send(HEALTHY, first=1)
    plant.classifier.fault = PeerUnavailable("classifier is away")
    worker.until(lambda: len(plant.dead()) > 0)
    assert plant.dead()[0].reason.startswith("given up after 0.3 s: ")
    worker.until(lambda: plant.line.frames.backlog().waiting == 0)
    assert plant.results()[int(pinned)].outcome is Outcome.FAILED


def test_frames_of_a_replay_wait_for_ever() -> None:
    plant = Plant(recipe=recipe())
    plant.start(live=False)
    plant.send(HEALTHY)
    plant.classifier.fault = PeerUnavailable("away")
    worker = plant.worker(patience_seconds=0.01)
    worker.rounds(60)
    assert plant.dead() == []
    plant.classifier.fault = None
    worker.until(lambda: len(plant.results()) == 1)


def test_frames_are_judged_without_a_service_that_the_recipe_can_do_without() -> None:
    plant = started(HEALTHY)
    worker = plant.worker()
    worker.until(lambda: len(plant.results()) == 1)
    plant.anomaly.fault = PeerUnavailable("away")
    plant.send(*[HEALTHY] * 20, first=1)
    worker.until(lambda: len(plant.results()) == 21)
    assert all(tile.anomaly is None and tile.probabilities for tile in plant.results()[20].tiles)
    assert plant.results()[20].models == ("steel/1",)
    plant.anomaly.fault = None
    plant.send(HEALTHY, first=21)
    worker.until(lambda: len(plant.results()) == 22)
    assert plant.results()[21].models == ("steel/1", "texture/1")


def test_scores_of_an_overloaded_service_are_waited_for() -> None:
    plant = started(HEALTHY)
    worker = plant.worker()
    worker.until(lambda: len(plant.results()) == 1)
    plant.anomaly.fault = Overloaded("full", 0.001)
    plant.send(HEALTHY, first=1)
    worker.rounds(40)
    assert len(plant.results()) == 1
    plant.anomaly.fault = None
    worker.until(lambda: len(plant.results()) == 2)
    assert plant.results()[1].models == ("steel/1", "texture/1")


def test_an_optional_service_that_is_slow_is_waited_for_and_one_that_never_answers_is_not() -> None:
    plant = started(HEALTHY)
    worker = plant.worker()
    worker.until(lambda: len(plant.results()) == 1)
    plant.anomaly.fault = DeadlineExceeded("slow")
    plant.send(HEALTHY, first=1)
    worker.until(lambda: len(worker.service.hand) == 1 and not worker.service.dispatch.busy)
    plant.anomaly.fault = None
    worker.until(lambda: len(plant.results()) == 2)
    assert plant.results()[1].models == ("steel/1", "texture/1")
    plant.anomaly.fault = DeadlineExceeded("never")
    plant.send(HEALTHY, first=2)
    worker.until(lambda: len(plant.results()) == 3)
    assert plant.results()[2].models == ("steel/1",)


BACKBONE = DescriptorSpec(3, "b" * 64)


def on_one_backbone(*images: object, **changes: str) -> Plant:
    """As `started`, with a classifier and an anomaly scorer on one backbone."""
    plant = started(*images, **changes)
    plant.classifier.descriptors = plant.anomaly.descriptors = BACKBONE
    return plant


def test_a_scorer_on_the_classifiers_backbone_gets_its_descriptors_instead_of_tiles() -> None:
    images = [strip_image([60 + 7 * index, 200 - 9 * index, 100]) for index in range(9)]
    shared, apart = on_one_backbone(*images), started(*images)
    shared.worker(batch_tiles=12).until(lambda: len(shared.results()) == 9)
    apart.worker(batch_tiles=12).until(lambda: len(apart.results()) == 9)
    assert shared.anomaly.by_descriptors == apart.anomaly.requests == [("texture/1", count) for count in (3, 12, 12)]
    assert shared.anomaly.requests == []
    assert {index: encode_result(result) for index, result in shared.results().items()} == {
        index: encode_result(result) for index, result in apart.results().items()
    }


@pytest.mark.parametrize("other", [None, DescriptorSpec(4, "b" * 64), DescriptorSpec(3, "c" * 64)])
def test_a_scorer_on_another_backbone_gets_tiles(other: DescriptorSpec | None) -> None:
    for described in ((BACKBONE, other), (other, BACKBONE)):
        plant = started(HEALTHY)
        plant.classifier.descriptors, plant.anomaly.descriptors = described
        plant.worker().until(lambda: len(plant.results()) == 1)  # noqa: B023
        assert plant.anomaly.requests == [("texture/1", 3)]
        assert plant.anomaly.by_descriptors == []


def test_descriptors_of_tiles_in_another_size_are_not_used() -> None:
    plant = on_one_backbone(HEALTHY)
    plant.anomaly.size = 32
    plant.worker().until(lambda: len(plant.results()) == 1)
    assert plant.anomaly.requests == [("texture/1", 3)]
    assert plant.anomaly.by_descriptors == []


@pytest.mark.parametrize("fault", [PeerUnavailable("away"), Overloaded("full", 0.001), DeadlineExceeded("slow")])
def test_with_the_classifier_away_the_scorer_gets_tiles_and_is_not_held_up(fault: StripwatchError) -> None:
    plant = on_one_backbone(HEALTHY, required="[anomaly]")
    worker = plant.worker()
    worker.until(lambda: len(plant.results()) == 1)
    plant.classifier.fault = fault
    plant.send(DEFECT, first=1)
    worker.until(lambda: len(plant.anomaly.requests) == 1)
    plant.classifier.fault = None if isinstance(fault, Overloaded) else fault  # one that is full is waited for
    worker.until(lambda: len(plant.results()) == 2)
    assert [tile.anomaly for tile in plant.results()[1].tiles] == [20_000] * 3
    plant.classifier.fault = None
    plant.send(HEALTHY, first=2)
    worker.until(lambda: len(plant.results()) == 3)
    plant.send(HEALTHY, first=3)
    worker.until(lambda: len(plant.results()) == 4)
    assert plant.results()[3].models == ("steel/1", "texture/1")
    assert plant.anomaly.by_descriptors[-1] == ("texture/1", 3)


def test_a_classifier_that_hangs_does_not_keep_frames_from_a_recipe_that_can_do_without_it() -> None:
    plant = on_one_backbone(HEALTHY, required="[anomaly]")
    plant.classifier.hangs = True
    plant.worker().until(lambda: len(plant.results()) == 1, most=20_000)
    assert [tile.anomaly for tile in plant.results()[0].tiles] == [10_000] * 3
    assert plant.results()[0].models == ("texture/1",)
    assert plant.dead() == []


def test_a_classifier_that_never_gives_what_it_promised_costs_no_frame() -> None:
    plant = on_one_backbone(HEALTHY)
    plant.classifier.dumb = True
    plant.worker().until(lambda: len(plant.results()) == 1)
    assert plant.anomaly.requests == [("texture/1", 3)]
    assert plant.results()[0].models == ("steel/1", "texture/1")


def test_both_services_share_one_budget() -> None:
    plant = on_one_backbone(HEALTHY)
    plant.worker(request_seconds=5.0).until(lambda: len(plant.results()) == 1)
    (asked,), (relayed,) = plant.classifier.timeouts, plant.anomaly.timeouts
    assert relayed <= asked <= 5.0


@pytest.mark.parametrize("fault", [PeerUnavailable("away"), DeadlineExceeded("slow")])
def test_a_scorer_that_is_away_is_asked_again_without_the_classifier(fault: StripwatchError) -> None:
    plant = on_one_backbone(HEALTHY, required="[anomaly]")
    worker = plant.worker()
    worker.until(lambda: len(plant.results()) == 1)
    plant.anomaly.fault = fault
    plant.send(HEALTHY, first=1)
    worker.until(lambda: len(worker.service.hand) == 1 and not worker.service.dispatch.busy)
    plant.anomaly.fault = None
    worker.until(lambda: len(plant.results()) == 2)
    assert plant.results()[1].models == ("steel/1", "texture/1")
    assert plant.classifier.requests == [("steel/1", 3)] * 2


def test_a_service_that_never_came_is_not_pinned() -> None:
    plant = started(HEALTHY)
    plant.anomaly.fault = PeerUnavailable("away")
    plant.worker().until(lambda: len(plant.results()) == 1)
    assert dict(decode_pins(plant.line.work.info(RUN).pins).models) == {Role.CLASSIFIER: "steel/1"}


def test_a_frame_that_a_service_refuses_is_buried_alone_and_its_batch_mates_are_judged() -> None:
    plant = started(HEALTHY, HEALTHY, POISON, HEALTHY)
    plant.classifier.poison = BadInput("tiles: not for me")
    plant.worker().until(lambda: len(plant.results()) == 4)
    assert {index: result.outcome for index, result in plant.results().items()} == {
        0: Outcome.JUDGED,
        1: Outcome.JUDGED,
        2: Outcome.FAILED,
        3: Outcome.JUDGED,
    }
    (letter,) = plant.dead()
    assert letter.reason == "tiles: not for me"


def test_a_frame_that_a_service_breaks_on_again_and_again_is_buried() -> None:
    plant = started(HEALTHY, POISON)
    plant.classifier.poison = StripwatchError("the engine failed")
    plant.worker().until(lambda: len(plant.results()) == 2, most=20_000)
    assert [result.outcome for _, result in sorted(plant.results().items())] == [Outcome.JUDGED, Outcome.FAILED]


def test_frames_of_a_worker_that_died_are_taken_over_one_at_a_time_and_judged_alone() -> None:
    plant = started(*[HEALTHY] * 4)
    assert len(plant.line.frames.read("dead", 100, 0)) == 5
    plant.send(*[HEALTHY] * 5, first=4)
    plant.classifier.takes_s = 0.05
    worker = plant.worker(claim_idle_seconds=0.001, in_flight=1, request_seconds=5.0)
    worker.service.hand._keep_every_s = 0
    worker.until(lambda: len(plant.results()) == 9)
    assert sorted(count for _, count in plant.classifier.requests) == [3] * 4 + [15]


def test_what_a_worker_holds_is_bounded_in_bytes_and_a_larger_frame_comes_alone() -> None:
    plant = started(*[HEALTHY] * 12)
    size = HEALTHY.nbytes
    worker = plant.worker(hand_bytes=1 << 20)
    intake = worker.intake
    intake._capacity_bytes = 3 * size
    most = 0
    for _ in range(100):
        intake.take(busy=False)
        most = max(most, worker.service.hand.held_bytes)
    assert most == 3 * size
    intake._capacity_bytes = size // 2
    worker.until(lambda: len(plant.results()) == 12)


def test_a_frame_of_a_camera_that_the_run_did_not_declare_goes_to_dead() -> None:
    plant = started(HEALTHY)
    plant.send_frame(replace(header_of(HEALTHY, 1), camera="another"), HEALTHY.tobytes())
    plant.worker().until(lambda: len(plant.results()) == 2)
    [letter] = plant.dead()
    assert letter.reason == "frame: expected one of camera cam1, got another"


def test_new_frames_are_judged_while_abandoned_ones_are_taken_over() -> None:
    plant = started(*[HEALTHY] * 30)
    plant.line.frames.read("dead", 100, 0)
    plant.send(HEALTHY, first=30)
    worker = plant.worker(claim_idle_seconds=0.001)
    worker.service.hand._keep_every_s = 0
    worker.until(lambda: 30 in plant.results())
    assert len(plant.results()) < 31


def test_a_frame_delivered_too_often_is_buried_before_anything_is_done_with_it() -> None:
    plant = started(HEALTHY)
    plant.line.frames.read("other", 100, 0)
    for _ in range(4):
        plant.line.frames.claim("other", 0, 100)
    plant.worker(claim_idle_seconds=0.001, max_deliveries=5).until(lambda: len(plant.dead()) == 2)
    assert plant.results()[0].reason == "delivered 6 times without an outcome"
    assert plant.classifier.requests == []


def test_a_slow_worker_keeps_what_it_has() -> None:
    plant = started(HEALTHY)
    worker = plant.worker(claim_idle_seconds=30)
    plant.classifier.fault = PeerUnavailable("away")
    worker.rounds(5)
    worker.service.hand._keep_at = 0
    worker.service.hand.keep()
    assert plant.line.frames.claim("other", 200, 10) == []
    assert plant.line.frames.backlog().pending == 2


def test_a_stop_finishes_what_is_under_way_and_hands_back_the_rest() -> None:
    plant = started(HEALTHY)
    worker = plant.worker()
    worker.until(lambda: len(plant.results()) == 1)
    plant.send(HEALTHY, first=1)
    worker.intake.take(busy=False)
    worker.service.open(worker.intake.fresh.popleft())
    plant.send(HEALTHY, first=2)
    worker.intake.take(busy=False)
    worker.service.lifecycle.stop()
    worker.service.stop()
    assert sorted(plant.results()) == [0, 1]
    (entry,) = plant.line.frames.claim("other", 30_000, 10)
    assert entry.deliveries == 1


def test_a_stop_does_not_wait_for_a_service_that_is_away() -> None:
    plant = started(HEALTHY)
    worker = plant.worker(drain_seconds=30)
    worker.until(lambda: len(plant.results()) == 1)
    plant.classifier.fault = PeerUnavailable("away")
    plant.send(HEALTHY, first=1)
    worker.until(lambda: not worker.service.dispatch.busy and len(worker.service.hand) == 1)
    worker.service.stop()
    assert len(plant.line.frames.claim("other", 30_000, 10)) == 1


def test_nothing_is_lost_while_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = started(*[HEALTHY] * 6)
    service = plant.worker(prefetch=2).service
    real = plant.line.work.finish
    failures = iter([True, True, False, True])

    def finish(done: object) -> int:
        if next(failures, False):
            raise StreamUnavailable("redis")
        return real(done)  # type: ignore[arg-type]

    monkeypatch.setattr(plant.line.work, "finish", finish)
    runner = threading.Thread(target=service.run)
    runner.start()
    for _ in range(200):
        if len(plant.results()) == 6 or service.lifecycle.sleep(0.05) is False:
            break
    service.lifecycle.stop()
    runner.join(10)
    assert not runner.is_alive()
    assert sorted(plant.results()) == list(range(6))
    assert plant.line.frames.backlog().waiting == 0


def test_one_worker_serves_several_lines() -> None:
    plant = started(HEALTHY)
    other = Plant(stream=plant.stream)
    worker = plant.worker(lines=("line1", "line2"))
    assert other.stream.line("line2").line == "line2"
    worker.until(lambda: len(plant.results()) == 1)
    assert plant.stream.line("line2").beats.alive() == {"preprocess": ["w1"]}
