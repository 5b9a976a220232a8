"""The shipped users of Redis where they are put to work: compose and Kubernetes."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import yaml
from redis_servers import answers, binaries, free_port, server, wait_for

from manifests import of_kind, pods, rendered
from stripwatch.stream import connect

ROOT = Path(__file__).parent.parent.parent
SERVICES = ("ingest", "preprocess", "aggregator")


@contextmanager
def compose_redis(folder: Path, port: int) -> Iterator[Path]:
    """What the compose file's `redis-users`, then `redis` do at their start, here; yields the folder of users."""
    binary = next(iter(binaries().values()), None)
    if binary is None:
        pytest.skip("no Redis here (make system)")
    users, bin_ = folder / "users", folder / "bin"
    bin_.mkdir()
    for name, text in {
        "chown": "",
        "redis-server": f'exec {binary} "$@" --port {port} --dir {folder} --save ""',
    }.items():
        (bin_ / name).write_text(f"#!/bin/sh\n{text}\n")
        (bin_ / name).chmod(0o755)
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    places = {"/deploy/": f"{ROOT}/deploy/redis/", "redis:6379": f"127.0.0.1:{port}", r"(?<!\w)/users\b": str(users)}
    make, serve = services["redis-users"]["command"], services["redis"]["command"]
    for there, here in places.items():
        make, serve = ([re.sub(there, here, part) for part in command] for command in (make, serve))
    env = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}"}
    subprocess.run(make, env=env, check=True)
    process = subprocess.Popen(serve, env=env, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port), "the compose file's Redis")
        yield users
    finally:
        process.kill()
        process.wait()


def test_the_compose_file_makes_its_users_and_redis_takes_them(tmp_path: Path) -> None:
    port = free_port()
    with compose_redis(tmp_path, port) as users:
        for name in ("aggregator", "preprocess", "ingest"):
            connect((users / name / "url").read_text()).line("line1")
        with pytest.raises(redis.exceptions.AuthenticationError):
            redis.Redis(port=port, driver_info=None).get("sw:{line1}:state")
        operator = redis.Redis.from_url((users / "operator" / "url").read_text(), decode_responses=True)
        assert operator.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert (users / "users.acl").stat().st_mode & 0o077 == 0


def test_each_service_of_the_compose_file_sees_its_own_password_alone() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in SERVICES:
        assert services[name]["volumes"] == [f"users-{name}:/users:ro"]
        assert services[name]["environment"]["STRIPWATCH_REDIS_URL_FILE"] == "/users/url"
        assert f"users-{name}:/users/{name}" in services["redis-users"]["volumes"]
    assert services["redis"]["volumes"] == ["redis:/data", "users:/users:ro"]


def test_the_kubernetes_overlay_gives_each_service_its_own_user() -> None:
    objects = rendered("edge")
    secrets = {item["metadata"]["name"]: item["data"] for item in of_kind(objects, "Secret")}
    for name in SERVICES:
        pod = pods(objects)[name]["spec"]
        (given,) = (volume["secret"]["secretName"] for volume in pod["volumes"] if volume["name"] == "redis")
        url = base64.b64decode(secrets[given]["STRIPWATCH_REDIS_URL"]).decode()
        assert url.startswith(f"redis://{name}:")
    pod = pods(objects)["redis"]["spec"]
    assert pod["containers"][0]["args"][-2:] == ["--aclfile", "/users/users.acl"]
    assert list(secrets[pod["volumes"][0]["secret"]["secretName"]]) == ["users.acl"]


PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def probed(overlay: str, port: int) -> list[int]:
    """How the probes of an overlay's Redis end."""
    if not shutil.which("redis-cli"):
        pytest.skip("needs redis-cli (make system)")
    container = pods(rendered(overlay))["redis"]["spec"]["containers"][0]
    commands = [[word, "-p", str(port), *rest] for word, *rest in (container[one]["exec"]["command"] for one in PROBES)]
    return [subprocess.run(one, capture_output=True, check=False).returncode for one in commands]


def test_the_probes_of_redis_without_users_ask_as_anybody(tmp_path: Path) -> None:
    with server(next(iter(binaries().values())), tmp_path) as port:
        assert probed("dev", port) == [0, 0, 0]


def test_the_probes_of_redis_with_users_ask_as_the_one_for_it_and_an_error_is_alive_but_not_ready(
    tmp_path: Path,
) -> None:
    """An error is what a server answers that still reads its file."""
    port = free_port()
    with compose_redis(tmp_path, port) as users:
        assert probed("edge", port) == [0, 0, 0]
        operator = redis.Redis.from_url((users / "operator" / "url").read_text())
        operator.acl_setuser("probe", enabled=True, commands=["-ping"])
        assert probed("edge", port) == [1, 1, 0]
