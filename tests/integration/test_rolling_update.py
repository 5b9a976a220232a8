"""Every service replaced under load: nothing is lost or comes twice, and the verdicts are those of a calm line."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis_servers import binaries, server, wait_for

from rolling import LONG_S, SERVICES, Rolling, rolling
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.testing.golden import compare
from tiny_models import write_pair


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Rolling]:
    found = binaries()
    if not found:
        pytest.skip("no redis-server here")
    write_pair(tmp_path / "models")
    with (
        server(next(iter(found.values())), tmp_path) as port,
        rolling(f"redis://127.0.0.1:{port}", tmp_path / "models", tmp_path) as made,
    ):
        yield made


def events(plant: Rolling, run: str) -> dict[str, Any]:
    """The verdicts on runs of a name, by strip."""
    found = plant.line.verdicts.since("", 10_000, 0)
    return {one.event.run.strip: json.loads(one.event.json) for one in found if one.event.run.run == run}


def settle(plant: Rolling) -> None:
    wait_for(lambda: not plant.line.runs.open_runs(), f"all verdicts: {plant.said()[-2000:]}", LONG_S)


def test_a_rolling_update_of_every_service_under_load_changes_no_verdict(plant: Rolling) -> None:
    source = plant.source(RUN="busy")
    plant.goes_on()
    for service in SERVICES:
        plant.replace(service)
        plant.goes_on()
    source.process.send_signal(signal.SIGTERM)
    assert source.process.wait(LONG_S) == 0, plant.said()
    settle(plant)
    verify(plant)


def verify(plant: Rolling) -> None:
    """Each strip has one verdict, whole but for the one that its source left, and the same as on a calm line."""
    published = plant.line.verdicts.since("", 10_000, 0)
    assert set(Counter(one.event.run for one in published).values()) == {1}
    verdicts = {one.event.run.strip: decode_verdict(one.event.body) for one in published}
    for camera in (camera for verdict in verdicts.values() for camera in verdict.cameras):
        assert (camera.failed, camera.never_seen) == (0, 0)
    left = [strip for strip, verdict in verdicts.items() if verdict.partial]
    assert len(left) <= 1
    assert plant.line.dead.page(10) == []
    assert plant.line.frames.backlog().waiting == 0
    calm = plant.source(RUN="calm", SIM_STRIPS=str(len(verdicts)), SPEED_M_PER_S="0")
    assert calm.process.wait(LONG_S) == 0, plant.said()
    settle(plant)
    expected, got = events(plant, "calm"), events(plant, "busy")
    assert set(expected) == set(got)
    for strip in set(got) - set(left):
        assert compare(expected[strip], got[strip]) is None
