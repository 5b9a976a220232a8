"""What KEDA scales by: the numbers that its triggers would see, and what it does while it sees none."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from prometheus_client.metrics import MetricWrapperBase
from redis_servers import binaries, free_port, running

from manifests import ROOT, Object, of_kind, pods, rendered
from stripwatch.domain.frame import RunId
from stripwatch.ports import Done, Kind, Outgoing
from stripwatch.runtime.metrics import engines
from stripwatch.runtime.metrics.lines import LINE_LOOKS
from stripwatch.stream import connect

SCALED = [("production",), ("dev", "keda"), ("edge", "keda-streams")]
RUN = RunId("line1", "coil-7", "run-1")


@pytest.fixture(params=SCALED, ids="+".join)
def objects(request: pytest.FixtureRequest) -> tuple[Object, ...]:
    return rendered(*request.param)


def specs(objects: tuple[Object, ...]) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item["spec"] for item in of_kind(objects, "ScaledObject")}


def trigger(name: str, *overlay: str) -> dict[str, Any]:
    (found,) = specs(rendered(*overlay))[name]["triggers"]
    assert found["metricType"] == "AverageValue", "the number is shared out among the replicas"
    return dict(found["metadata"])


def test_an_apply_never_takes_back_what_the_autoscaler_did(objects: tuple[Object, ...]) -> None:
    deployed = {item["metadata"]["name"]: item["spec"] for item in of_kind(objects, "Deployment")}
    for spec in specs(objects).values():
        assert "replicas" not in deployed[spec["scaleTargetRef"]["name"]]


def test_nothing_is_scaled_to_zero_and_no_number_is_none_of_a_reason_to_shrink(objects: tuple[Object, ...]) -> None:
    for spec in specs(objects).values():
        least, most = spec["minReplicaCount"], spec["maxReplicaCount"]
        assert 1 <= least < most
        assert least <= spec["fallback"]["replicas"] <= most
        assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
        down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
        assert down["stabilizationWindowSeconds"] >= 2 * 120  # a new replica is found when connections end of age
        for one in spec["triggers"]:
            assert one["type"] != "prometheus" or one["metadata"]["ignoreNullValues"] == "false"
            assert not any(key.startswith("activation") for key in one["metadata"]), "of use from zero only"


def test_the_queries_ask_for_metrics_that_there_are() -> None:
    counted = [one for one in vars(engines).values() if isinstance(one, MetricWrapperBase)]
    known = {family.name for one in (*counted, LINE_LOOKS) for family in one.collect()}
    for spec in specs(rendered("production")).values():
        names = re.findall(r"stripwatch_\w+", spec["triggers"][0]["metadata"]["query"])
        assert names
        assert {name.removesuffix("_sum") for name in names} <= known


AGE, RUNS, ENGINES = (f"stripwatch_{name}" for name in ("queue_age_seconds", "engine_run_seconds_sum", "engines"))
SERIES = {
    f'{AGE}{{line="line1",queue="frames",job="aggregator"}}': "0+1x20",
    f'{AGE}{{line="line2",queue="frames",job="aggregator"}}': "3+0x20",
    f'{AGE}{{line="line2",queue="results",job="aggregator"}}': "99+0x20",
    f'{RUNS}{{job="classifier",model="steel/1",instance="a"}}': "0+11.25x20",
    f'{RUNS}{{job="classifier",model="steel/1",instance="b"}}': "0+15x20",
    f'{RUNS}{{job="classifier",model="steel-fast/1",instance="a"}}': "0+3.75x20",
    f'{RUNS}{{job="anomaly",model="texture/1",instance="c"}}': "0+3.75x20",
    f'{ENGINES}{{job="classifier",model="steel/1",instance="a"}}': "1+0x20",
    f'{ENGINES}{{job="classifier",model="steel/1",instance="b"}}': "2+0x20",
    f'{ENGINES}{{job="classifier",model="steel-fast/1",instance="a"}}': "1+0x20",
    f'{ENGINES}{{job="anomaly",model="texture/1",instance="c"}}': "1+0x20",
}
SEEN = {"preprocess": 16, "classifier": 1.25, "anomaly": 0.25}
"""Of the two replicas of the classifier one runs three quarters of the time, both engines of the other half of it."""


def test_the_queries_give_the_age_of_the_oldest_frame_and_how_many_replicas_are_busy(tmp_path: Path) -> None:
    if not shutil.which("promtool"):
        pytest.skip("needs promtool (make system)")
    queries = {name: spec["triggers"][0]["metadata"]["query"] for name, spec in specs(rendered("production")).items()}
    rules = [{"record": f"scaled:{name}", "expr": query} for name, query in queries.items()]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "scaled", "rules": rules}]}))
    story = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in SERIES.items()],
        "promql_expr_test": [
            {"expr": expr, "eval_time": "4m", "exp_samples": [{"labels": expr, "value": SEEN[name]}]}
            for name, expr in ((name, f"scaled:{name}") for name in queries)
        ],
    }
    (tmp_path / "story.yml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": [story]})
    )
    done = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "story.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    replicas = {name: math.ceil(seen / float(trigger(name, "production")["threshold"])) for name, seen in SEEN.items()}
    assert replicas == {"preprocess": 8, "classifier": 2, "anomaly": 1}


@dataclass(frozen=True)
class Plant:
    port: int
    users: Path

    def url(self, user: str) -> str:
        return (self.users / user / "url").read_text()


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """A Redis with the users of the edge overlay."""
    binary = next(iter(binaries().values()), None)
    if binary is None:
        pytest.skip("no Redis here (make system)")
    port, users = free_port(), tmp_path / "users"
    make = ["sh", ROOT / "deploy" / "redis" / "make-users", users, f"127.0.0.1:{port}"]
    subprocess.run([*make, "ingest", "preprocess", "aggregator", "scaler", "operator"], check=True)
    home = tmp_path / "redis"
    home.mkdir()
    with running(binary, home, "--aclfile", str(users / "users.acl"), port=port):
        yield Plant(port, users)


def make_streams(plant: Plant) -> None:
    """What the Job of components/keda-streams does, with its settings."""
    (job,) = (item for item in rendered("edge", "keda-streams") if item["kind"] == "Job")
    _, *command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    env = {**os.environ, "STRIPWATCH_LINES": "line1,line2", "STRIPWATCH_REDIS_URL": plant.url("aggregator")}
    subprocess.run([sys.executable, *command], env=env, check=True)


def asked(plant: Plant) -> int:
    """The number that KEDA's scaler would get: as its user, XLEN of the stream, after HELLO as its Go client begins."""
    client = redis.Redis.from_url(plant.url("scaler"), driver_info=None, protocol=3)
    assert client.ping()
    return int(client.xlen(trigger("preprocess", "edge", "keda-streams")["stream"]))


def test_streams_and_groups_are_there_before_anybody_asks_for_them(plant: Plant) -> None:
    make_streams(plant)
    make_streams(plant)  # an `apply` makes the Job anew
    operator = redis.Redis.from_url(plant.url("operator"), decode_responses=True, driver_info=None)
    for line in ("line1", "line2"):
        groups = {one: operator.xinfo_groups(f"sw:{{{line}}}:{one}")[0]["name"] for one in ("frames", "results")}
        assert groups == {"frames": "preprocess", "results": "aggregate"}
    assert asked(plant) == 0


def test_the_streams_trigger_counts_what_waits_and_what_is_in_hand_where_lag_and_pending_do_not(plant: Plant) -> None:
    make_streams(plant)
    source = connect(plant.url("ingest")).line("line1").source
    source.start_run(RUN, b"start", cameras=["top"], live=True, deadline_ms=60_000)
    source.publish([Outgoing(Kind.FRAME, RUN, b"h", b"p")] * 9)
    assert asked(plant) == 10
    worker = connect(plant.url("preprocess")).line("line1")
    first, *held = worker.frames.read("w", 6, 0)
    assert asked(plant) == 10
    operator = redis.Redis.from_url(plant.url("operator"), decode_responses=True, driver_info=None)
    (group,) = operator.xinfo_groups("sw:{line1}:frames")
    assert (group["lag"], group["pending"]) == (4, 6)
    worker.work.finish([Done(first.id, Kind.START, RUN, b"start")])
    worker.work.finish([Done(one.id, Kind.RESULT, RUN, b"r") for one in held])
    assert asked(plant) == 4
    operator.xdel("sw:{line1}:frames", operator.xrevrange("sw:{line1}:frames", count=1)[0][0])
    assert operator.xinfo_groups("sw:{line1}:frames")[0]["lag"] is None
    assert asked(plant) == 3


def test_the_scaler_may_count_frames_and_nothing_else(plant: Plant) -> None:
    make_streams(plant)
    client = redis.Redis.from_url(plant.url("scaler"), driver_info=None)
    for refused in (
        lambda: client.xrange("sw:{line1}:frames"),
        lambda: client.xlen("sw:{line1}:results"),
        lambda: client.xadd("sw:{line1}:frames", {"a": "b"}),
        lambda: client.delete("sw:{line1}:frames"),
    ):
        with pytest.raises(redis.exceptions.NoPermissionError):
            refused()


def test_the_job_runs_as_who_may_make_groups_of_both_streams() -> None:
    job = pods(rendered("edge", "keda-streams"))["streams"]["spec"]
    (secret,) = (volume["secret"]["secretName"] for volume in job["volumes"])
    assert secret.startswith("redis-aggregator")
