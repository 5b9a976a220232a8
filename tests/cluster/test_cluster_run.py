"""The dev overlay on a real node: strips in, verdicts out, whatever is scaled, deleted, replaced or drained.

One story: each test goes on with the plant that the one before it left.
"""

from __future__ import annotations

import subprocess
import time

import pytest
import yaml

from cluster.older import for_1_20
from cluster.plant import NAMESPACE, Plant
from containers.figures import Figures
from containers.stack import until
from containers.strips import WITHOUT_END, Strips, incomplete
from manifests import ADDED, OVERLAYS, rendered
from stripwatch.testing.golden import compare_all

DEPLOYMENTS = ("classifier", "anomaly", "preprocess", "aggregator")
ROLLED = ("aggregator", "classifier", "anomaly", "preprocess")
SPEED = 0.5


def assert_as_undisturbed(plant: Plant, strips: Strips, found: list[dict[str, object]]) -> None:
    """Every frame judged, and each verdict the same as when nobody interferes."""
    assert incomplete(strips, found) == []
    again = plant.sent(strips.again(f"{strips.run}-again", len(found)))
    difference = compare_all(again, found)
    assert difference is None, str(difference)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_real_api_server_takes_every_object_of_an_overlay(overlay: str, plant: Plant) -> None:
    objects = for_1_20(list(rendered(overlay, *ADDED[overlay])))
    spaces = {one["metadata"]["namespace"] for one in objects if "namespace" in one["metadata"]}
    for name in spaces | {one["metadata"]["name"] for one in objects if one["kind"] == "Namespace"}:
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        plant.node.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(space))
    taken = plant.node.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all(objects))
    assert len(taken.splitlines()) == len(objects)


def test_every_deployment_becomes_ready(plant: Plant, figures: Figures) -> None:
    began = time.monotonic()
    plant.apply()
    plant.until_rolled_out("statefulset/redis", *(f"deployment/{name}" for name in DEPLOYMENTS))
    figures.note("start", all_ready_s=round(time.monotonic() - began, 1))


def test_three_strips_get_three_verdicts(plant: Plant) -> None:
    strips = Strips("three", 3)
    found = plant.sent(strips)
    assert incomplete(strips, found) == []
    assert [one["data"]["disposition"] == "accept" for one in found] == [True, False, False]


def test_what_is_scaled_up_takes_its_share(plant: Plant) -> None:
    plant.kubectl("scale", "deployment/preprocess", "deployment/classifier", "--replicas=3")
    plant.kubectl("scale", "deployment/anomaly", "--replicas=2")
    plant.until_rolled_out("deployment/preprocess", "deployment/classifier", "deployment/anomaly")
    strips = Strips("scaled", WITHOUT_END, SPEED)
    with plant.sending(strips):
        for app, metric in (
            ("preprocess", "stripwatch_frames_total"),
            ("classifier", "stripwatch_served_requests_total"),
        ):
            until(lambda app=app, metric=metric: all(plant.totals(app, metric)), f"each {app} has worked")
            assert len(plant.totals(app, metric)) == 3


def test_pods_that_are_deleted_without_grace_lose_nothing(plant: Plant) -> None:
    """With two scorers: the recipe goes on without the only one, and its verdict would say so."""
    strips = Strips("deleted", 8, SPEED)
    with plant.sending(strips):
        until(lambda: bool(plant.of_run(strips.run)), "the first verdict")
        for app in DEPLOYMENTS:
            pod = plant.pods(app)[0]["metadata"]["name"]
            plant.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
        found = plant.awaited(strips)
    assert_as_undisturbed(plant, strips, found)


def test_a_rolling_restart_of_every_deployment_loses_nothing(plant: Plant, figures: Figures) -> None:
    strips = Strips("rolled", 30, SPEED)
    before = {app: set(plant.ready(app)) for app in ROLLED}
    with plant.sending(strips):
        until(lambda: bool(plant.of_run(strips.run)), "the first verdict")
        for app in ROLLED:
            seconds = plant.seconds("rollout", "restart", f"deployment/{app}", rolled=f"deployment/{app}")
            figures.note("rolling_restart", **{f"{app}_s": seconds})
        judged = len(plant.of_run(strips.run))
        found = plant.awaited(strips)
    assert judged < len(found), "the strips were over before the restarts were"
    assert not any(before[app] & set(plant.ready(app)) for app in ROLLED)
    assert_as_undisturbed(plant, strips, found)


def test_a_rollout_can_be_undone_under_load(plant: Plant, figures: Figures) -> None:
    strips = Strips("undone", 12, SPEED)
    with plant.sending(strips):
        until(lambda: bool(plant.of_run(strips.run)), "the first verdict")
        seconds = plant.seconds("rollout", "undo", "deployment/preprocess", rolled="deployment/preprocess")
        figures.note("rollback", preprocess_s=seconds)
        found = plant.awaited(strips)
    assert_as_undisturbed(plant, strips, found)


def test_what_is_scaled_down_hands_back_what_it_held(plant: Plant) -> None:
    strips = Strips("down", 8, SPEED)
    with plant.sending(strips):
        until(lambda: bool(plant.of_run(strips.run)), "the first verdict")
        plant.kubectl("scale", "deployment/preprocess", "deployment/classifier", "--replicas=1")
        found = plant.awaited(strips)
    until(lambda: len(plant.pods("preprocess")) == len(plant.pods("classifier")) == 1, "one of each is left")
    assert_as_undisturbed(plant, strips, found)


def test_a_budget_keeps_a_drain_from_taking_the_last_one(plant: Plant) -> None:
    drain = ("drain", "node", "--pod-selector=app=classifier", "--delete-emptydir-data", "--timeout=20s", "--force")
    (last,) = plant.ready("classifier")
    try:
        with pytest.raises(RuntimeError, match=r"(?i)disruption budget|timeout"):
            plant.node.kubectl(*drain)
        assert plant.ready("classifier") == [last]
    finally:
        plant.node.kubectl("uncordon", "node")


def test_a_service_whose_loops_stand_still_is_started_anew(plant: Plant) -> None:
    (pod,) = plant.pods("aggregator")
    container = pod["status"]["containerStatuses"][0]
    control = ["ctr", "--address", str(plant.node.folder / "containerd.sock"), "--namespace", "k8s.io"]
    task = container["containerID"].removeprefix("containerd://")
    subprocess.run([*control, "tasks", "pause", task], check=True)

    def restarts() -> int:
        (now,) = plant.pods("aggregator")
        return int(now["status"]["containerStatuses"][0]["restartCount"])

    until(lambda: restarts() > container["restartCount"], "it is started anew", 400.0)
    plant.until_rolled_out("deployment/aggregator")
    strips = Strips("awake", 1)
    assert incomplete(strips, plant.sent(strips)) == []
    assert plant.kubectl("get", "namespace", NAMESPACE, "-o", "name").strip() == f"namespace/{NAMESPACE}"
