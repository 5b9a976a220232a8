"""The whole pipeline with a user of Redis for each service, as shipped: real processes, each with its own password."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import redis
from redis_servers import binaries, free_port, running

from stripwatch.domain.frame import RunId
from stripwatch.local import Pipeline
from stripwatch.local.child import Spec
from stripwatch.local.feeds import folder_settings
from stripwatch.local.services import Plan
from stripwatch.rpc.codec.verdicts import decode_verdict

MAKE_USERS = Path(__file__).parent.parent.parent / "deploy" / "redis" / "make-users"
KINDS = ("ingest", "preprocess", "aggregator")


@dataclass(frozen=True)
class UsersPlan(Plan):
    """Each service speaks to Redis as itself."""

    users: Path = Path()

    def spec(self, name: str) -> Spec:
        given = super().spec(name)
        url = self.users / name.partition("-")[0] / "url"
        return replace(given, env={**given.env, "STRIPWATCH_REDIS_URL": url.read_text()}) if url.is_file() else given


@pytest.fixture(params=["7", "8"])
def users(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder as make-users writes it, and a Redis that loaded it."""
    binary = binaries().get(request.param)
    if binary is None:
        pytest.skip(f"no Redis {request.param} here (make system)")
    folder, port = tmp_path / "users", free_port()
    subprocess.run(["sh", MAKE_USERS, folder, f"127.0.0.1:{port}", "console", "operator", *KINDS], check=True)
    with running(binary, tmp_path, "--aclfile", str(folder / "users.acl"), port=port):
        yield folder


def test_a_strip_gets_its_verdict_and_no_service_is_refused_what_it_needs(
    users: Path, tmp_path: Path, tiny_models: Path, bright_strip: Path
) -> None:
    urls = {path.parent.name: path.read_text() for path in users.glob("*/url")}
    pipeline = Pipeline(tmp_path / "none", redis_url=urls["console"], env={"STRIPWATCH_MODELS": str(tiny_models)})
    plan = pipeline.plan
    pipeline.plan = UsersPlan(plan.redis_url, plan.lines, plan.addresses, plan.env, users=users)
    with pipeline:
        pipeline.line()  # as the console; what follows comes from the camera
        pipeline.redis_url = urls["ingest"]
        pipeline.finish(pipeline.feed(folder_settings(bright_strip, "coil-7", "r1")), 60.0)
        verdict = decode_verdict(pipeline.verdict(RunId("line1", "coil-7", "r1")).event.body)
        pipeline.settle()
    operator = redis.Redis.from_url(urls["operator"], decode_responses=True)
    assert [camera.judged for camera in verdict.cameras] == [10]
    assert len(verdict.defects) == 2
    refused = {(one["username"], one["object"]) for one in operator.acl_log()}
    assert {one for one in refused if one[0] in KINDS} <= {("preprocess", "function|load")}  # until the aggregator did
