"""The compose file, unchanged, on a real engine: strips in, verdicts out, whatever is scaled, killed or replaced.

One story: each test goes on with the stack that the one before it left.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from containers import prometheus
from containers.figures import Figures, memory_mib, most_memory_mib, seconds_to_ready
from containers.mes import Mes, watching
from containers.metered import series, totals
from containers.stack import PIPELINE, Stack, until
from containers.strips import LINE, WITHOUT_END, Strips, awaited, incomplete, of_run, sending, sent, verdicts
from containers.wheels import ROOT
from monitoring_queries import panel_queries
from stripwatch.stream.keys import FRAMES_GROUP, Keys
from stripwatch.testing.golden import compare_all

KEYS = Keys(LINE)
SERVICES = ("classifier", "anomaly", "preprocess", "aggregator")
ROLLED = ("aggregator", "classifier", "anomaly", "preprocess")
"""In the order of an upgrade."""
DASHBOARD = ROOT / "deploy/monitoring/grafana/stripwatch.json"
SETTLED_S = 10.0
LOADED_S = 20.0
SPEED = 1.0


@pytest.fixture(scope="module")
def up(stack: Stack, figures: Figures) -> Stack:
    began = time.monotonic()
    stack.up()
    stack.until_healthy(*PIPELINE)
    figures.note("start", whole_file_s=round(time.monotonic() - began, 1))
    return stack


@pytest.fixture(scope="module", autouse=True)
def mes(up: Stack) -> Iterator[Mes]:
    """Watches through all that happens."""
    with watching() as mes:
        yield mes


def assert_as_undisturbed(stack: Stack, strips: Strips, found: list[dict[str, object]]) -> None:
    """Every frame judged, and each verdict the same as when nobody interferes."""
    assert incomplete(strips, found) == []
    again = sent(stack, strips.again(f"{strips.run}-again", len(found)))
    difference = compare_all(again, found)
    assert difference is None, str(difference)


def assert_all_but_the_last_as_undisturbed(stack: Stack, strips: Strips) -> None:
    """Of strips without end: their source was stopped in the midst of the last one, whose verdict says so."""
    client = stack.redis()
    until(lambda: client.zcard(KEYS.open) == 0, f"every run of {strips.run} has its verdict")
    found = list(of_run(stack, strips.run).values())
    found.sort(key=lambda verdict: str(verdict["data"]["partId"]))
    assert [one["data"]["partId"] for one in found] == [strips.series.strip(number) for number in range(len(found))]
    *whole, last = found
    assert whole
    (camera,) = last["data"]["cameras"]
    assert camera["judged"] + camera["shed"] == camera["expected"]
    assert {lost["detail"] for lost in camera["lost"]} <= {"source stopped"}
    assert_as_undisturbed(stack, strips, whole)


def crash_with_frames_in_hand(stack: Stack) -> int:
    """Ends a worker that waits for the classifiers' answers; returns how many frames it had taken and not finished."""
    client, worker, classifiers = stack.redis(), stack.ids("preprocess")[0], stack.ids("classifier")
    host = stack.inspect(worker)["Config"]["Hostname"]

    def held() -> int:
        """A worker's name in the group begins with its host's."""
        consumers = client.xinfo_consumers(KEYS.frames, FRAMES_GROUP)
        return sum(one["pending"] for one in consumers if one["name"].startswith(host))

    stack.docker("pause", *classifiers)
    try:
        until(lambda: held() > 0, "the worker holds frames", every=0.05)
        stack.crash(worker)
        return held()
    finally:
        stack.docker("unpause", *classifiers)


def test_the_file_comes_up_healthy_as_it_is(up: Stack, figures: Figures) -> None:
    assert {service: set(up.health(service)) for service in PIPELINE} == {service: {"healthy"} for service in PIPELINE}
    time.sleep(SETTLED_S)
    figures.note("memory_at_rest_mib", **memory_mib(up))


def test_three_strips_get_three_verdicts(up: Stack) -> None:
    strips = Strips("three", 3)
    found = sent(up, strips)
    assert incomplete(strips, found) == []
    assert [one["data"]["disposition"] == "accept" for one in found] == [True, False, False]
    assert len(verdicts(up)) == 3


def test_the_demo_fills_every_panel_and_pages_nobody(up: Stack, figures: Figures) -> None:
    up.compose("--profile", "demo", "up", "-d", "--no-recreate", "ingest")
    up.up("prometheus")
    up.until_healthy("ingest", "prometheus")
    empty = panel_queries(json.loads(DASHBOARD.read_text()))

    def all_answered() -> bool:
        empty[:] = [(title, expr) for title, expr in empty if not prometheus.numbers(expr)]
        return not empty

    try:
        until(all_answered, "data in every panel", every=2.0)
    except AssertionError:
        assert empty == []
    assert prometheus.targets() == dict.fromkeys((*SERVICES, "ingest", "prometheus"), 1)
    assert {rule["health"] for rule in prometheus.rules()} == {"ok"}
    assert prometheus.paged() == []
    figures.note("metric_series", **{service: series(up, service) for service in (*SERVICES, "ingest")})
    up.compose("--profile", "demo", "rm", "-sf", "ingest")


def test_under_load_every_service_keeps_to_its_memory(up: Stack, figures: Figures) -> None:
    strips = Strips("loaded", WITHOUT_END)
    with sending(up, strips), most_memory_mib(up) as most:
        time.sleep(LOADED_S)
    figures.note("memory_under_load_mib", **most)
    for service in PIPELINE:
        state = up.inspect(up.ids(service)[0])
        assert not state["State"]["OOMKilled"]
        assert most[service] < state["HostConfig"]["Memory"] / 2**20
    assert_all_but_the_last_as_undisturbed(up, strips)


def test_every_service_is_soon_ready(up: Stack, figures: Figures) -> None:
    for service in SERVICES:
        figures.note("start", **{f"{service}_s": seconds_to_ready(up, service)})
    up.until_healthy(*PIPELINE)


def test_what_is_scaled_up_takes_its_share(up: Stack) -> None:
    up.scale(preprocess=3, classifier=2)
    strips = Strips("scaled", WITHOUT_END, SPEED)
    with sending(up, strips):
        until(lambda: all(totals(up, "preprocess", "stripwatch_frames_total")), "each worker has judged frames")
        until(lambda: all(totals(up, "classifier", "stripwatch_served_requests_total")), "each classifier was asked")
        until(lambda: bool(of_run(up, strips.run)), "the first verdict")
    assert len(totals(up, "preprocess", "stripwatch_frames_total")) == 3
    assert len(totals(up, "classifier", "stripwatch_served_requests_total")) == 2
    assert_all_but_the_last_as_undisturbed(up, strips)


def test_one_of_each_is_killed_in_mid_strip(up: Stack) -> None:
    strips = Strips("killed", 12, SPEED)
    with sending(up, strips):
        until(lambda: bool(of_run(up, strips.run)), "the first verdict")
        assert crash_with_frames_in_hand(up) > 0
        for service in ("classifier", "anomaly", "aggregator"):
            up.crash(up.ids(service)[0])
        found = awaited(up, strips)
    up.until_healthy(*PIPELINE)
    assert_as_undisturbed(up, strips, found)


def test_redis_is_restarted_in_mid_strip(up: Stack, figures: Figures) -> None:
    strips = Strips("redis", 8, SPEED)
    with sending(up, strips):
        until(lambda: bool(of_run(up, strips.run)), "the first verdict")
        assert up.redis().zcard(KEYS.open) > 0
        began = time.monotonic()
        up.compose("restart", "redis")
        up.until_healthy("redis")
        figures.note("restart", redis_s=round(time.monotonic() - began, 1))
        found = awaited(up, strips)
    up.until_healthy(*PIPELINE)
    assert_as_undisturbed(up, strips, found)


def test_every_service_is_replaced_under_load(up: Stack, figures: Figures) -> None:
    strips = Strips("rolled", WITHOUT_END, SPEED)
    before = {service: set(up.ids(service)) for service in ROLLED}
    with sending(up, strips):
        until(lambda: bool(of_run(up, strips.run)), "the first verdict")
        began = time.monotonic()
        for service in ROLLED:
            since = time.monotonic()
            up.run("deploy/compose/roll", service)
            figures.note("rolling_restart", **{f"{service}_s": round(time.monotonic() - since, 1)})
        figures.note("rolling_restart", all_s=round(time.monotonic() - began, 1))
    after = {service: set(up.ids(service)) for service in ROLLED}
    for service in ROLLED:
        assert len(after[service]) == len(before[service])
        assert not after[service] & before[service]
    assert_all_but_the_last_as_undisturbed(up, strips)


def test_what_is_scaled_down_hands_back_what_it_held(up: Stack) -> None:
    strips = Strips("down", WITHOUT_END, SPEED)
    with sending(up, strips):
        until(lambda: bool(of_run(up, strips.run)), "the first verdict")
        up.scale(preprocess=1, classifier=1)
    assert_all_but_the_last_as_undisturbed(up, strips)


def test_the_mes_was_given_each_verdict_once(up: Stack, mes: Mes) -> None:
    kept = {(one["data"]["partId"], one["data"]["jobId"]) for one in verdicts(up)}
    until(lambda: len(mes.given) >= len(kept), "the MES has all verdicts")
    assert sorted(mes.given) == sorted(kept)
    assert mes.returns > 0  # the aggregator was killed, and replaced: the watch ended, and went on from its cursor


def test_nothing_is_left_behind(up: Stack) -> None:
    client = up.redis()
    until(lambda: client.zcard(KEYS.open) == 0, "no run is open")
    assert client.xlen(KEYS.dead) == 0
    assert client.xlen(KEYS.frames) == client.xlen(KEYS.results) == 0


def test_the_page_s_backup_comes_back_into_an_empty_volume(up: Stack, tmp_path: Path) -> None:
    """Its commands as they stand, but for the name of compose and where the file and the volume are."""
    before = verdicts(up)
    page = (ROOT / "docs/compose.md").read_text().partition("## Backup")[2]
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)[:2]:
        text = block.replace("docker compose", "docker-compose").replace("stripwatch_redis", f"{up.project}_redis")
        text = text.replace("$PWD:/here", f"{tmp_path}:/here").replace("< backup.rdb", f"< {tmp_path}/backup.rdb")
        up.run("sh", "-euc", text)
    up.until_healthy(*PIPELINE)
    assert verdicts(up) == before
