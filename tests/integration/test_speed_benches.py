"""The quick forms of `make bench-latency`, `-speed` and `-startup`: their books, none of their times."""

from __future__ import annotations

from pathlib import Path

from latency import Size, latency
from line_speed import Size as Speeds
from line_speed import measure
from rig import FAST
from startup import Size as Starts
from startup import measure as measure_starts

TINY = Size(seconds=1.0, bare_seconds=0.2, saturation_frames=100, rounds=1, strips=3, cameras=3, loads=("0.5", "1.2"))


def test_latency_at_each_load_accounts_for_every_frame(tmp_path: Path) -> None:
    found = latency(FAST, "onnxruntime", TINY, tmp_path, {})
    assert [found["loads"][load]["tier"] for load in TINY.loads] == ["stable", "failure"]
    rows = [*found["loads"].values(), found["one_camera_at_10_per_s"], found["3_cameras_at_10_per_s"]]
    for row in rows:
        assert (row["lost"], row["failed"]) == (0, 0)
        assert 0 <= row["not_timed"] <= row["frames"] - row["shed"]
    assert found["one_camera_at_10_per_s"]["frames"] == 10
    many = found["3_cameras_at_10_per_s"]
    assert (many["frames"], many["uncounted"]) == (30, 0)
    ends = found["end_to_verdict_ms"]
    assert ends["strips"] + ends["not_timed"] == TINY.strips


def test_a_line_speed_holds_only_without_loss_and_what_breaks_above_is_counted(tmp_path: Path) -> None:
    found = measure([FAST], {"STRIPWATCH_ENGINE": "onnxruntime"}, Speeds(0.5, 100, 1, 2), tmp_path)
    for case in (found["fast.1"], found["fast.2"]):
        trials = [trial for search in case["rounds"] for trial in search["trials"]]
        assert trials
        for trial in trials:
            assert not trial["holds"] or (trial["shed_share"], trial["failed"], trial["lost"]) == (0, 0, 0)
        held = {trial["m_per_s"] for trial in trials if trial["holds"]} | {0.0}
        assert case["holds_m_per_s"] == max(held)
        assert all((one["lost"], one["failed"]) == (0, 0) for one in case["breaks"].values())


def test_every_service_says_when_it_is_ready_and_how_much_memory_it_holds(tmp_path: Path) -> None:
    found = measure_starts(Starts(1, 0.2, ("onnxruntime",), demo=False), tmp_path)
    services = {"classifier.onnxruntime", "anomaly.onnxruntime", "preprocess", "aggregator", "ingest"}
    assert found["start"].keys() == services
    assert all(len(one["rounds_s"]) == 1 for one in found["start"].values())
    rest = found["at_rest"]["onnxruntime"]
    assert rest.keys() == {
        *("redis", "classifier", "anomaly", "preprocess", "aggregator", "ingest", "ingest (simulator)", "all")
    }
    assert all(0 < one["pss_mib"] <= one["rss_mib"] for one in rest.values())
