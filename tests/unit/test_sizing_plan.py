"""Sizing a line: each figure against one that was worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stripwatch.cli.main import app
from stripwatch.cutting import Part, squares
from stripwatch.domain.recipe import Cutting
from stripwatch.errors import BadInput, NotFound
from stripwatch.sizing import Demand, Rates, TileBytes, caveats, figures, needs, read_rates, tiles_in, write_rates
from stripwatch.sizing.machine import Machine, this_machine

WIDE = Demand(speed_m_per_s=20, width_mm=1650, mm_per_px=0.5, sides=2)
RATES = Rates(
    measured_at="2026-11-25T01:00:00Z",
    command="stripwatch density --rate 10 --profile fast",
    stripwatch="0.1.0",
    redis="8.2.3",
    machine=Machine("a processor", 2, 24.0),
    models={"classifier": "steel-fast/1", "anomaly": "texture-fast/1"},
    engines={"classifier": "onnxruntime/1.32.0", "anomaly": "onnxruntime/1.32.0"},
    engine_workers=2,
    engine_threads=1,
    workers=1,
    classifiers=1,
    durable=True,
    height_px=200,
    width_px=2000,
    tile_px=200,
    cameras=17,
    rate=10,
    seconds=10,
    p99_ms=120,
    tiles_per_s=1700,
    cpu_us_a_tile={
        "ingest": 20,
        "redis": 50,
        "preprocess": 200,
        "classifier": 500,
        "anomaly": 30,
        "aggregator": 40,
    },
    bytes_a_tile=TileBytes(100.0, 150.0, 4096, 1756, 1728, 4),
)


def value(name: str, demand: Demand = WIDE, load: float = 0.7, outage_s: float = 10.0) -> float:
    (found,) = (one.value for one in figures(demand, RATES, load, outage_s) if one.name == name)
    return found


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["plan", *arguments], env={"COLUMNS": "200"})


def test_frames_and_tiles_follow_from_speed_width_and_sides() -> None:
    """20 m/s at 0.5 mm are 40,000 rows/s: 200 frames/s a side of 200 rows; 3,300 columns are 16.5 tiles, so 17."""
    assert WIDE.rows_per_s == 40_000
    assert WIDE.camera_px == 3300
    assert WIDE.frames_per_s == 400
    assert WIDE.tiles_per_frame == 17
    assert WIDE.tiles_per_s == 6800


def test_cameras_side_by_side_share_the_width_and_each_rounds_its_own_tiles_up() -> None:
    three = replace(WIDE, cameras=3)
    assert (three.camera_px, three.tiles_per_frame, three.frames_per_s) == (1100, 6, 1200)
    assert three.tiles_per_s == 7200


def test_a_width_of_whole_pixels_gets_no_column_more_by_rounding() -> None:
    assert Demand(1, 1650, 0.1).camera_px == 16_500
    assert Demand(1, 1650.05, 0.1).camera_px == 16_501


@pytest.mark.parametrize(
    ("height", "width", "tile", "stride"), [(200, 3300, 200, 200), (450, 90, 100, 50), (7, 7, 64, 8)]
)
def test_a_frame_has_as_many_tiles_as_the_worker_cuts(height: int, width: int, tile: int, stride: int) -> None:
    cut = squares(Part(0, height, 0, width), Cutting(tile_px=tile, stride_px=stride))
    assert tiles_in(height, width, tile, stride) == len(cut)


def test_a_frame_that_no_stream_takes_is_refused() -> None:
    with pytest.raises(BadInput, match="more cameras a side"):
        Demand(1, 10_000, 0.01, frame_px=1000)


def test_bandwidth_is_the_pixels_and_what_goes_with_each_tile() -> None:
    """400 frames/s x 660,000 bytes = 264 MB/s; 6,800 tiles/s x 100 and 150 bytes; x (4,096 + 1,756), (1,728 + 4)."""
    assert value("of these, cameras' pixels") == pytest.approx(264)
    assert value("into Redis") == pytest.approx(264.68)
    assert value("out of Redis") == pytest.approx(265.02)
    assert value("gRPC, classifier") == pytest.approx(39.7936)
    assert value("gRPC, anomaly") == pytest.approx(11.7776)


def test_redis_holds_what_comes_while_the_workers_are_away() -> None:
    """10 s x 264 MB/s x 1.25 = 3,300 MB; with 256 + 16 MiB (285.2 MB) kept beside 3,585, over 0.6: 5,975 MB."""
    assert value("held for 10 s without workers") == pytest.approx(3300)
    assert value("budget") == pytest.approx(3585.21, abs=0.01)
    assert value("maxmemory of Redis") == pytest.approx(5975.35, abs=0.01)


def test_a_backlog_goes_by_what_the_load_leaves() -> None:
    """10 s at 70 %: 7 units wait, 0.3 a second are left for them."""
    assert value("caught up after") == pytest.approx(23.33, abs=0.01)


def test_cores_are_tiles_times_their_cost_over_the_load() -> None:
    """6,800 tiles/s x 500 us = 3.4 cores busy, at 70 % 4.857 to give, in replicas of 2 engines: 3."""
    found = {one.service: one for one in needs(WIDE, RATES, 0.7)}
    assert found["classifier"].busy == pytest.approx(3.4)
    assert found["classifier"].cores == pytest.approx(4.857, abs=1e-3)
    assert found["classifier"].replicas == 3
    assert (found["preprocess"].replicas, found["anomaly"].replicas, found["redis"].replicas) == (2, 1, 1)


def test_machines_are_counted_from_what_held_as_a_whole() -> None:
    """6,800 / (0.7 x 1,700) = 5.7."""
    assert value("machines like the measured one") == 6


def test_rates_of_other_tiles_are_said_to_be_of_other_tiles() -> None:
    assert not caveats(WIDE, RATES)
    (said,) = caveats(replace(WIDE, tile_px=400, stride_px=400), RATES)
    assert "--tile-px 400" in said


def test_rates_of_large_frames_are_said_not_to_be_of_small_ones() -> None:
    (said,) = caveats(replace(WIDE, cameras=5), RATES)
    assert "frames of 10 tiles, planned are 4" in said


def test_rates_are_kept_by_profile(tmp_path: Path) -> None:
    place = tmp_path / "var" / "rates.json"
    write_rates(place, "fast", RATES)
    write_rates(place, "accurate", replace(RATES, tiles_per_s=500.0))
    write_rates(place, "fast", replace(RATES, cameras=18))
    assert read_rates(place, "fast") == replace(RATES, cameras=18)
    assert read_rates(place, "accurate").tiles_per_s == 500


def test_without_a_measurement_the_command_that_makes_it_is_named(tmp_path: Path) -> None:
    place = tmp_path / "rates.json"
    with pytest.raises(NotFound, match=r"stripwatch density --rate 10 --profile fast`, or .* --rates"):
        read_rates(place, "fast")
    write_rates(place, "accurate", RATES)
    with pytest.raises(NotFound, match="has rates of accurate, none of fast"):
        read_rates(place, "fast")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda text: text[:-9], "the whole"),
        (lambda text: text.replace('"tiles_per_s": 1700', '"tiles_per_s": 0'), "tiles_per_s"),
        (lambda text: text.replace('"redis": 50', '"valkey": 50'), "cpu_us_a_tile: expected ingest"),
        (lambda text: text.replace('"rate": 10', '"rhythm": 10'), "rate"),
    ],
)
def test_a_broken_file_of_rates_is_told_with_its_field(tmp_path: Path, spoil: Any, says: str) -> None:
    place = tmp_path / "rates.json"
    write_rates(place, "fast", RATES)
    place.write_text(spoil(place.read_text()))
    with pytest.raises(BadInput, match="as `stripwatch density` writes them") as error:
        read_rates(place, "fast")
    assert says in str(error.value)


def test_the_command_shows_each_number_with_where_it_comes_from(tmp_path: Path) -> None:
    place = tmp_path / "rates.json"
    write_rates(place, "fast", RATES)
    wide = ("--speed", "20", "--width", "1650", "--sides", "2", "--profile", "fast", "--rates", str(place))
    shown = run(*wide)
    assert shown.exit_code == 0, shown.output
    assert "400 frames/s" in shown.stdout
    assert "tiles/s x 500.0 us / 70%" in shown.stdout
    told = json.loads(run(*wide, "--json").stdout)
    assert {one["name"]: one["value"] for one in told["figures"]}["tiles"] == 6800
    assert told["rates"]["machine"]["cores"] == 2


def test_the_command_without_rates_exits_2_with_one_line(tmp_path: Path) -> None:
    refused = run("--speed", "20", "--width", "1650", "--rates", str(tmp_path / "none.json"))
    assert refused.exit_code == 2
    assert "stripwatch density" in refused.output
    assert refused.output.count("\n") == 1


def test_the_machine_is_told_in_words() -> None:
    here = this_machine()
    assert here.cores >= 1
    assert here.processor in str(here)
